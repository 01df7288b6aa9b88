//! The composition root: from a [`Config`] to a vault, a proxy, a run. The only place that picks implementations.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use authsome_ca::Ca;

use crate::audit::{self, Audit, Event, EventName};
use crate::auth::{AuthService, Https, Observer, OnDemand};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::credential::{Credentials, Source};
use crate::dial::{ConnectTo, Dial, Dialer, UpstreamProxies};
use crate::home::Home;
use crate::identity::Identity;
use crate::origin::Origin;
use crate::policy::Policy;
use crate::proxy::listener::Admission;
use crate::proxy::settings::Settings;
use crate::proxy::tls::Leaves;
use crate::proxy::{Proxy, Shared};
use crate::roots;
use crate::vault::GenerationReader;

mod authority;
mod context;
mod demo;
mod explain;
mod home_ca;
mod import;
mod run;
mod self_test;
mod service;

pub use context::{Context, ContextBuilder, ProxyBuilder, ProxyHandle};
pub(crate) use demo::{Ending, Tale};
pub(crate) use explain::Explanation;
pub(crate) use import::Imported;
pub(crate) use run::{Ran, RunOptions};
pub(crate) use service::{Listening, ServiceOptions};

/// More cores than this would only spread the pools of upstream connections thinner.
const MAX_WORKERS: usize = 8;

/// The product, ready to do what a command asks.
pub(crate) struct App {
    config: Config,
    clock: Arc<dyn Clock>,
}

/// What a user may say about routing on the command line, beside what [`Config`] has.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoutingOptions {
    /// `--connection provider=name`
    pub(crate) connections: BTreeMap<String, String>,
    /// `--no-intercept host`
    pub(crate) no_intercept: Vec<String>,
    /// `--allow host:port`
    pub(crate) allow: Vec<Origin>,
}

impl App {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, clock: Arc::new(SystemClock) }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The home, made when it is missing.
    pub(crate) fn home(&self) -> Result<Home, crate::auth::Error> {
        Ok(Home::open(&self.config.home, &*self.clock)?)
    }

    /// Connections and definitions of the profile.
    pub(crate) fn auth(&self) -> Result<AuthService, crate::auth::Error> {
        AuthService::builder()
            .home(&self.config.home)
            .profile(&self.config.profile)
            .master_key(self.config.master_key.clone())
            .provided_keys(self.config.provided_keys.clone())
            .clock(Arc::clone(&self.clock))
            .network(Arc::new(self.network()))
            .observer(self.observer())
            .build()
    }

    /// Writes each refresh into the audit log, whoever asked for it.
    fn observer(&self) -> Observer {
        let (path, clock) = (self.config.home.clone(), Arc::clone(&self.clock));
        Arc::new(move |record, failure| {
            let identity = Identity::local(&record.profile);
            let event = Event {
                actor: Some(identity.as_str()),
                profile: Some(&record.profile),
                provider: Some(&record.provider),
                connection: Some(&record.connection_name),
                outcome: Some(if failure.is_some() { "failed" } else { "ok" }),
                reason: failure,
                ..Event::new(EventName::Refresh)
            };
            let recorded = Home::open(&path, &*clock).map_err(crate::auth::Error::from);
            let recorded = recorded.and_then(|home| Ok(audit::append(&home, &*clock, &event)?));
            if let Err(error) = recorded {
                tracing::error!(%error, "a refresh is missing from the audit log");
            }
        })
    }

    /// Requests to authorization servers, dialled and verified as the configuration says.
    fn network(&self) -> OnDemand {
        let config = self.config.clone();
        OnDemand::new(move || {
            let app = Self::new(config.clone());
            let made = app.dialer((Ipv4Addr::LOCALHOST, 0).into()).and_then(|dialer| {
                let tls = roots::client_config(&config.upstream_ca)?;
                Ok(Https::new(Arc::new(dialer), &tls))
            });
            made.map_err(|error| Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(error)))
        })
    }

    /// The names that a CA of this home may issue for.
    fn permitted(&self, auth: &AuthService) -> Result<Vec<String>> {
        let stored = auth.snapshot()?.connections;
        let records = stored.iter().map(|connection| &connection.record);
        Ok(authority::permitted(&auth.definitions().registry, records))
    }

    /// Starts a proxy on a bound listener.
    fn start(&self, listener: TcpListener, parts: Parts, routing: &RoutingOptions) -> Result<Proxy> {
        let Parts { auth, ca, admission, audit } = parts;
        let address = listener.local_addr().context("the listener has no address")?;
        let profile = auth.profile().clone();
        let generation = GenerationReader::open(&profile.generation()).context("cannot follow the vault")?;
        let source = Source::new(
            auth,
            Arc::clone(&self.clock),
            routing.connections.clone(),
            self.config.prefer.clone(),
        );
        let credentials = Credentials::start(source, generation)?;
        let shared = Shared {
            admission,
            credentials,
            policy: Policy,
            leaves: Leaves::new(ca, Arc::clone(&self.clock))?,
            audit,
            settings: self.settings(routing),
            profile: profile.name().into(),
            identity: Identity::local(profile.name()),
        };
        let dial: Arc<dyn Dial> = Arc::new(self.dialer(address)?);
        let tls = roots::client_config(&self.config.upstream_ca)?;
        let workers = available_parallelism().map_or(1, |cores| cores.get().min(MAX_WORKERS));
        Proxy::start(listener, workers, shared, &dial, &tls).context("cannot start the proxy")
    }

    fn settings(&self, routing: &RoutingOptions) -> Settings {
        Settings {
            unmatched: self.config.unmatched,
            ambiguous: self.config.ambiguous,
            foreign: self.config.foreign,
            no_intercept: routing.no_intercept.clone(),
            allow: routing.allow.clone(),
        }
    }

    fn dialer(&self, own: SocketAddr) -> Result<Dialer> {
        let mappings = self
            .config
            .connect_to
            .iter()
            .map(|text| text.parse::<ConnectTo>().with_context(|| format!("--connect-to {text:?}")));
        let outgoing = &self.config.outgoing_proxy;
        let https = outgoing.https.as_ref().map(|url| url.expose().as_str());
        let proxies = UpstreamProxies::new(https, outgoing.no_proxy.as_deref()).context("HTTPS_PROXY")?;
        let public_only = !own.ip().is_loopback();
        Ok(Dialer::new(own, mappings.collect::<Result<_>>()?, proxies).public_only(public_only))
    }
}

/// What a proxy is made of beside the configuration.
struct Parts {
    auth: AuthService,
    ca: Arc<Ca>,
    admission: Admission,
    audit: Audit,
}

/// A listener on an ephemeral loopback port, which nobody else can reach from outside.
fn loopback() -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on 127.0.0.1")
}

/// A token of 256 bits in letters and digits, which every client's URL parser takes.
fn token() -> Result<crate::secret::Secret<String>> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const LENGTH: usize = 43;
    let mut token = String::with_capacity(LENGTH);
    while token.len() < LENGTH {
        let mut random = zeroize::Zeroizing::new([0u8; 64]);
        getrandom::fill(&mut *random).context("no random numbers")?;
        // Bytes above the largest multiple of 62 would favour the first letters.
        let letters = random.iter().filter(|byte| **byte < 248).map(|byte| ALPHABET[usize::from(*byte % 62)]);
        token.extend(letters.take(LENGTH - token.len()).map(char::from));
    }
    Ok(token.into())
}

/// Keeps other processes of this user from reading our memory, the kernel from writing it to a core file, and everybody
/// from reading the master key where it came in.
pub(crate) fn harden() {
    crate::run::blank_variable(c"AUTHSOME_MASTER_KEY");
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "this process stays dumpable");
    }
}
