//! The library's way in: home, connections, vault and proxy of one profile. It has no logic of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use super::run::Wired;
use super::{App, RoutingOptions};
use crate::auth::{AuthService, Error};
use crate::config::{self, Flags, ProcessEnvironment};
use crate::home::Home;
use crate::vault::Vault;

/// Exchanges that are under way at [`ProxyHandle::shutdown`] get this long.
const DRAIN: Duration = Duration::from_secs(10);

/// Home, connections, vault and proxy of one profile.
pub struct Context {
    app: App,
    auth: AuthService,
}

/// Makes a [`Context`]. What is not said is taken from the environment and `config.json`, as the command does.
#[derive(Debug, Clone, Default)]
pub struct ContextBuilder {
    flags: Flags,
}

impl ContextBuilder {
    /// The home's folder, which is created when missing; `AUTHSOME_HOME`, else `~/.authsome`.
    #[must_use]
    pub fn home(mut self, path: impl Into<PathBuf>) -> Self {
        self.flags.home = Some(path.into());
        self
    }

    /// The profile; `AUTHSOME_PROFILE`, else the home's default.
    #[must_use]
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.flags.profile = Some(name.into());
        self
    }

    /// Who acts. Until there are identities, a handle names a profile: `agent://local/<profile>`, or the profile alone.
    #[must_use]
    pub fn identity(self, handle: &str) -> Self {
        let profile = handle.strip_prefix("agent://local/").unwrap_or(handle).to_owned();
        self.profile(profile)
    }

    /// A PEM file of further roots for the verification of servers. May be given several times.
    #[must_use]
    pub fn upstream_ca(mut self, pem: impl Into<PathBuf>) -> Self {
        self.flags.upstream_ca.push(pem.into());
        self
    }

    /// Where a name is dialled instead: `host:port:address:port`. TLS is verified for the host all the same.
    #[must_use]
    pub fn connect_to(mut self, mapping: impl Into<String>) -> Self {
        self.flags.connect_to.push(mapping.into());
        self
    }

    /// Opens home, profile and vault.
    ///
    /// # Errors
    /// [`Error::Configuration`], [`Error::ProfileNotFound`], or when the home cannot be used.
    pub fn build(self) -> Result<Context, Error> {
        let config = config::load(self.flags, &ProcessEnvironment);
        let app = App::new(config.map_err(|error| Error::Configuration(error.into()))?);
        let auth = app.auth()?;
        Ok(Context { app, auth })
    }
}

impl Context {
    /// The context that the command of the same user has.
    ///
    /// # Errors
    /// As [`ContextBuilder::build`].
    pub fn create() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Begins with nothing chosen.
    pub fn builder() -> ContextBuilder {
        ContextBuilder::default()
    }

    /// The connections.
    pub fn auth(&self) -> &AuthService {
        &self.auth
    }

    /// The vault.
    ///
    /// # Errors
    /// Why it could not be opened.
    pub fn vault(&self) -> Result<&Arc<Vault>, Error> {
        self.auth.vault()
    }

    /// The home.
    pub fn home(&self) -> &Home {
        self.auth.home()
    }

    /// A proxy that injects the profile's credentials.
    pub fn proxy(&self) -> ProxyBuilder<'_> {
        ProxyBuilder { context: self, routing: RoutingOptions::default() }
    }
}

/// Starts a proxy on an ephemeral port of 127.0.0.1, with a CA and a token of its own.
pub struct ProxyBuilder<'a> {
    context: &'a Context,
    routing: RoutingOptions,
}

impl<'a> ProxyBuilder<'a> {
    /// Uses this connection in the place of the provider's default.
    #[must_use]
    pub fn connection(mut self, provider: impl Into<String>, name: impl Into<String>) -> Self {
        self.routing.connections.insert(provider.into(), name.into());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When a named connection does not exist, the vault cannot be read, or the proxy cannot be started.
    pub fn start(self) -> Result<ProxyHandle<'a>, Error> {
        let app = &self.context.app;
        let notify = |text: &str| tracing::warn!("{text}");
        let wired = app.wire(&self.routing, |_| Ok(()), &notify).map_err(failure)?;
        Ok(ProxyHandle { app, wired })
    }
}

/// A running proxy. It ends with this handle; [`shutdown`](Self::shutdown) lets exchanges come to their end first.
pub struct ProxyHandle<'a> {
    app: &'a App,
    wired: Wired,
}

impl ProxyHandle<'_> {
    /// Where it listens. Clients need the token too, which stands in the [`environment`](Self::environment).
    pub fn address(&self) -> SocketAddr {
        self.wired.proxy.address()
    }

    /// The whole environment of a process whose requests are to go through the proxy: this process's own, without what
    /// holds a secret.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        self.app.child_environment(&self.wired, &[]).variables
    }

    /// Runs a command to its end in the [`environment`](Self::environment), beside what the command sets itself.
    ///
    /// # Errors
    /// [`Error::Proxy`] when it cannot be started.
    pub fn run(&self, command: &mut Command) -> Result<ExitStatus, Error> {
        let own: Vec<(OsString, Option<OsString>)> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        let line: Vec<OsString> =
            std::iter::once(command.get_program()).chain(command.get_args()).map(ToOwned::to_owned).collect();
        let variables = self.app.child_environment(&self.wired, &line).variables;
        command.env_clear().envs(variables);
        for (name, value) in own {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.status().map_err(|error| Error::Proxy(error.into()))
    }

    /// Accepts nothing more, and waits up to 10 s for exchanges that are under way.
    pub fn shutdown(self) {
        self.wired.proxy.shutdown(DRAIN);
    }
}

fn failure(error: anyhow::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::Proxy(error.into()))
}
