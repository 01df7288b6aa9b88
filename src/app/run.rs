//! `authsome run`: a proxy of its own, the child beside it, and nothing left when it ends.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{App, Parts, RoutingOptions, authority, loopback, token};
use crate::audit::{self, Audit, Event, EventName};
use crate::auth::Error;
use crate::auth::record::ConnectionRecord;
use crate::credential::{Chosen, Connected, chosen};
use crate::proxy::Proxy;
use crate::proxy::listener::Admission;
use crate::run::child::{Signals, supervise};
use crate::run::environment::{self, Inputs, UserProxy, Variables};
use crate::run::folder::RunFolder;
use crate::run::shims::{self, Files};
use crate::secret::Secret;

/// Exchanges that the child left unfinished get this long.
const DRAIN: Duration = Duration::from_millis(500);

/// The flags of `run`.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOptions {
    pub(crate) routing: RoutingOptions,
    /// `--require a,b`
    pub(crate) require: Vec<String>,
    /// `--wait`
    pub(crate) wait: bool,
    /// `--print-env`: say what the child would get, and start nothing.
    pub(crate) print_env: bool,
}

/// What came of a run.
pub(crate) enum Ran {
    /// The child's exit code.
    Exit(u8),
    /// The environment that the child would have had.
    Environment(Variables),
}

impl App {
    /// Runs a command. `notify` gets what the user should hear before the child starts.
    pub(crate) fn run(
        &self,
        options: &RunOptions,
        command: &[OsString],
        notify: &dyn Fn(&str),
    ) -> Result<Ran> {
        let signals = Signals::take()?;
        let wired = self.wire(&options.routing, |connected| require(&options.require, connected), notify)?;
        let child = self.child_environment(&wired, command);
        child.notes.iter().for_each(|note| notify(&note.to_string()));
        if options.print_env {
            return Ok(Ran::Environment(child.variables));
        }
        let command = assemble(command, child.variables)?;
        let Wired { proxy, audit, folder, connected, others, .. } = wired;
        drop((connected, others));
        let code = self.follow(&signals, options.wait, command, &audit);
        proxy.shutdown(DRAIN);
        drop(folder);
        code.map(Ran::Exit)
    }

    /// Starts a proxy that whoever gets [`child_environment`](Self::child_environment) is wired to.
    pub(crate) fn wire(
        &self,
        routing: &RoutingOptions,
        check: impl FnOnce(&[Connected]) -> Result<(), Error>,
        notify: &dyn Fn(&str),
    ) -> Result<Wired> {
        let base = RunFolder::base(self.config.runtime_folder.as_deref());
        RunFolder::remove_stale(&base);
        let folder = RunFolder::create(&base).context("cannot make the run's folder")?;
        let auth = self.auth()?;
        let picks = &routing.connections;
        let chosen = chosen(&auth, picks)?;
        chosen.check(picks)?;
        let Chosen { connected, unreadable, others, .. } = chosen;
        for one in &unreadable {
            notify(&format!("{} ({}) cannot be read: {}", one.provider, one.connection, one.error));
        }
        check(&connected)?;
        if connected.is_empty() {
            notify("nothing is connected yet, so nothing will be injected; see `authsome login --help`");
        }
        let records = connected.iter().map(|connected| &connected.record).chain(&others);
        let permitted = authority::permitted(&auth.definitions().registry, records);
        let ca = authority::for_run(permitted, &*self.clock)?;
        let files = shims::write(folder.path(), ca.certificate_pem(), self.config.environment.all())
            .context("cannot write the run's files")?;
        let token = token()?;
        let audit = Audit::open(auth.home(), self.clock.clone())?;
        let parts = Parts { auth, ca, admission: Admission::run(token.clone()), audit: audit.clone() };
        let proxy = self.start(loopback()?, parts, routing)?;
        Ok(Wired { proxy, token, files, folder, audit, connected, others })
    }

    /// The environment of a command that is wired to a proxy.
    pub(crate) fn child_environment(&self, wired: &Wired, command: &[OsString]) -> environment::Child {
        let Wired { proxy, token, files, connected, others, .. } = wired;
        let rules = proxy.rules();
        let secrets: Vec<&[u8]> = connected
            .iter()
            .map(|connected| &connected.record)
            .chain(others)
            .flat_map(ConnectionRecord::secrets)
            .map(|(_, secret)| secret.expose().as_bytes())
            .collect();
        environment::child(&Inputs {
            parent: self.config.environment.all(),
            command,
            proxy_url: &format!("http://run:{}@{}", token.expose(), proxy.address()),
            files,
            covers_route: &|name| rules.routes.lies_at_or_below(name),
            ports: &rules.routes.other_ports(),
            placeholders: &connected.iter().flat_map(stand_ins).collect::<Vec<_>>(),
            taken_away: &connected.iter().flat_map(key_variables).collect::<Vec<_>>(),
            secrets: &secrets,
            user_proxy: UserProxy::default(),
        })
    }

    fn follow(&self, signals: &Signals, wait: bool, command: Command, audit: &Audit) -> Result<u8> {
        self.note(audit, EventName::RunStart, None)?;
        let code = supervise(signals, command, wait);
        let outcome = match &code {
            Ok(code) => code.to_string(),
            Err(error) => error.to_string(),
        };
        // The child's exit code counts, whatever becomes of the log.
        if let Err(error) = self.note(audit, EventName::RunEnd, Some(&outcome)).and_then(|()| audit.flush()) {
            tracing::error!(%error, "the end of the run is missing from the audit log");
        }
        Ok(code?)
    }

    fn note(&self, audit: &Audit, name: EventName, outcome: Option<&str>) -> Result<(), audit::AuditError> {
        audit.record(&Event { profile: Some(&self.config.profile), outcome, ..Event::new(name) })
    }
}

/// A proxy, and what a child needs to be wired to it.
pub(crate) struct Wired {
    pub(crate) proxy: Proxy,
    token: Secret<String>,
    files: Files,
    folder: RunFolder,
    audit: Audit,
    connected: Vec<Connected>,
    others: Vec<ConnectionRecord>,
}

fn assemble(command: &[OsString], variables: Variables) -> Result<Command, Error> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| Error::Usage("run needs a command".into()))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables);
    Ok(command)
}

fn require(providers: &[String], connected: &[Connected]) -> Result<(), Error> {
    let missing = providers.iter().find(|name| !connected.iter().any(|one| one.record.provider == **name));
    missing.map_or(Ok(()), |name| Err(Error::CredentialMissing { provider: name.clone() }))
}

/// The variables that a definition exports: the placeholder for each secret, other fields as they are.
fn stand_ins(connected: &Connected) -> Vec<(String, String)> {
    let Connected { definition: Some(definition), record } = connected else { return Vec::new() };
    // What is injected nowhere keeps the names that the person gave it.
    if definition.not_routed().is_some() {
        return Vec::new();
    }
    let secret: Vec<&str> = record.secrets().into_iter().map(|(name, _)| name).collect();
    let mut pairs = Vec::new();
    for (field, names) in definition.exports() {
        let value = match record.field(field) {
            Some(_) if secret.contains(&field.as_str()) => definition.placeholder(),
            Some(value) => value,
            None => continue,
        };
        pairs.extend(names.iter().map(|name| (name.clone(), value.to_owned())));
    }
    pairs
}

/// The variables in which a definition looks for secrets: the child gets none of them.
fn key_variables(connected: &Connected) -> Vec<String> {
    let routed = connected.definition.iter().filter(|definition| definition.not_routed().is_none());
    routed.flat_map(|definition| definition.env_vars()).map(str::to_owned).collect()
}
