//! What every verb works with.

use std::process::ExitCode;
use std::sync::Arc;

use crate::app::App;
use crate::audit::{self, Event, EventName};
use crate::auth::{self, AuthService};
use crate::config::Config;
use crate::home::Home;
use crate::run;

use super::failure::Failure;
use super::logging::Log;
use super::output::Output;
use super::terminal;

/// The application, and the printer.
pub(super) struct Desk {
    pub(super) app: App,
    pub(super) output: Output,
}

impl Desk {
    pub(super) fn new(config: Config, output: Output) -> Self {
        let (inside, folder) = (config.inside_run, config.runtime_folder.clone());
        let ask = move |asked| {
            let agent = inside || run::is_inside(folder.as_deref());
            if agent { None } else { terminal::passphrase(asked) }
        };
        Self { app: App::new(config.asking(Arc::new(ask))), output }
    }

    pub(super) fn config(&self) -> &Config {
        self.app.config()
    }

    /// Opens the home, and the log in it.
    pub(super) fn open(&self, log: &Log) -> Result<Home, Failure> {
        let home = self.home()?;
        if let Some(path) = &self.config().log_file
            && let Err(error) = log.open(path)
        {
            self.output.warn(&format!("nothing is logged: {} cannot be opened: {error}", path.display()));
        }
        Ok(home)
    }

    /// The home, made when it is missing.
    pub(super) fn home(&self) -> Result<Home, Failure> {
        Ok(self.app.home()?)
    }

    /// Connections and definitions of the profile.
    pub(super) fn auth(&self) -> Result<AuthService, Failure> {
        Ok(self.app.auth()?)
    }

    /// Puts the names of providers in the place of aliases.
    pub(super) fn resolve(&self, names: Vec<&mut String>) -> Result<(), Failure> {
        if names.is_empty() {
            return Ok(());
        }
        let auth = self.auth()?;
        for name in names {
            *name = auth.meant_by(name);
        }
        Ok(())
    }

    /// The time in Unix seconds.
    pub(super) fn now(&self) -> i64 {
        self.app.clock().unix_seconds()
    }

    /// Writes an event, of this profile unless it names another, into the audit log, and returns when it is on disk.
    pub(super) fn record(&self, event: Event<'_>) -> Result<(), Failure> {
        let event = Event { profile: event.profile.or(Some(&self.config().profile)), ..event };
        audit::append(&self.home()?, &**self.app.clock(), &event).map_err(auth::Error::from)?;
        Ok(())
    }

    /// Says what `config.json` changes about whom we trust and where we dial.
    pub(super) fn name_trust_from_file(&self) {
        for name in &self.config().trust_from_file {
            self.output.note(&format!("{name} of config.json is in force"));
        }
    }

    /// Whether an agent calls, rather than its human.
    pub(super) fn is_inside_run(&self) -> bool {
        self.config().inside_run || run::is_inside(self.config().runtime_folder.as_deref())
    }

    /// Stops a command that changes or reveals something inside a run.
    pub(super) fn refuse_inside_run(&self, command: Option<&'static str>) -> Result<(), Failure> {
        let Some(command) = command.filter(|_| self.is_inside_run()) else { return Ok(()) };
        self.record_refusal(command)?;
        Err(auth::Error::RefusedInsideRun(command.to_owned()).into())
    }

    /// Writes into the audit log that a command was refused to an agent.
    pub(super) fn record_refusal(&self, command: &str) -> Result<(), Failure> {
        let reason = format!("inside-run: {command}");
        self.record(Event {
            outcome: Some("refused"),
            reason: Some(&reason),
            ..Event::new(EventName::Refused)
        })
    }
}

/// An event about a connection that went well.
pub(super) fn event<'a>(name: EventName, provider: &'a str, connection: Option<&'a str>) -> Event<'a> {
    Event { provider: Some(provider), connection, outcome: Some("ok"), ..Event::new(name) }
}

/// The end of a command that did what it was asked.
pub(super) const DONE: ExitCode = ExitCode::SUCCESS;
