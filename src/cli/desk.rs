//! What every verb works with.

use std::process::ExitCode;
use std::sync::Arc;

use crate::audit::{self, Event, EventName};
use crate::auth::{self, AuthService};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::home::Home;

use super::failure::Failure;
use super::logging::Log;
use super::output::Output;

/// The configuration, what can be done with it, and the printer.
pub(super) struct Desk {
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) output: Output,
}

impl Desk {
    pub(super) fn new(config: Config, output: Output) -> Self {
        Self { config, clock: Arc::new(SystemClock), output }
    }

    /// Opens the home, and the log in it.
    pub(super) fn open(&self, log: &Log) -> Result<Home, Failure> {
        let home = self.home()?;
        if let Some(path) = &self.config.log_file
            && let Err(error) = log.open(path)
        {
            self.output.warn(&format!("nothing is logged: {} cannot be opened: {error}", path.display()));
        }
        Ok(home)
    }

    /// The home, made when it is missing.
    pub(super) fn home(&self) -> Result<Home, Failure> {
        Ok(Home::open(&self.config.home, &*self.clock).map_err(auth::Error::from)?)
    }

    /// Connections and definitions of the profile.
    pub(super) fn auth(&self) -> Result<AuthService, Failure> {
        let builder = AuthService::builder()
            .home(&self.config.home)
            .profile(&self.config.profile)
            .master_key(self.config.master_key.clone())
            .provided_keys(self.config.provided_keys.clone())
            .clock(self.clock.clone());
        Ok(builder.build()?)
    }

    /// The time in Unix seconds.
    pub(super) fn now(&self) -> i64 {
        self.clock.unix_seconds()
    }

    /// Writes an event, of this profile unless it names another, into the audit log, and returns when it is on disk.
    pub(super) fn record(&self, event: Event<'_>) -> Result<(), Failure> {
        let event = Event { profile: event.profile.or(Some(&self.config.profile)), ..event };
        audit::append(&self.home()?, &*self.clock, &event).map_err(auth::Error::from)?;
        Ok(())
    }

    /// Stops a command that changes or reveals something inside a run.
    pub(super) fn refuse_inside_run(&self, command: Option<&'static str>) -> Result<(), Failure> {
        let Some(command) = command.filter(|_| self.config.inside_run) else { return Ok(()) };
        let reason = format!("inside-run: {command}");
        self.record(Event {
            outcome: Some("refused"),
            reason: Some(&reason),
            ..Event::new(EventName::Refused)
        })?;
        Err(auth::Error::RefusedInsideRun(command.to_owned()).into())
    }
}

/// An event about a connection that went well.
pub(super) fn event<'a>(name: EventName, provider: &'a str, connection: Option<&'a str>) -> Event<'a> {
    Event { provider: Some(provider), connection, outcome: Some("ok"), ..Event::new(name) }
}

/// The end of a command that did what it was asked.
pub(super) const DONE: ExitCode = ExitCode::SUCCESS;
