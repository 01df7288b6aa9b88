//! Home, server, proxy and client, made for each other.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use http::Version;

use super::answer::Answer;
use super::authority::Authority;
use super::client::{Ask, Client};
use super::definition::{Definition, key_of};
use super::home::Home;
use super::origin::{Origin, Plan};
use super::proxy::Proxy;
use super::streams;
use super::tls;

/// The host that the usual provider `alpha` claims.
pub(crate) const ALPHA: &str = "api.alpha.test:443";
/// A host of the same server that nobody claims.
pub(crate) const OTHER: &str = "other.test:443";

/// The usual world: `alpha` is connected, one server answers for all names.
pub(crate) struct World {
    pub(crate) home: Home,
    pub(crate) authority: Authority,
    pub(crate) origin: Origin,
    pub(crate) proxy: Proxy,
    pub(crate) client: Client,
    flags: Vec<OsString>,
}

/// What is to differ from the usual world.
pub(crate) struct Builder {
    home: Home,
    authority: Authority,
    definitions: Vec<Definition>,
    edits: Vec<Definition>,
    names: Vec<String>,
    unmapped: Vec<String>,
    plan: Plan,
    mappings: Vec<(String, SocketAddr)>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    listen: SocketAddr,
    key: fn(&str) -> String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::builder().start().await
    }

    /// A world with `alpha` and what is added.
    pub(crate) fn builder() -> Builder {
        Self::empty().provider(Definition::bearer("alpha", "api.alpha.test"))
    }

    /// A world in which nothing is connected.
    pub(crate) fn empty() -> Builder {
        Builder {
            home: Home::new(),
            authority: Authority::new(),
            definitions: Vec::new(),
            edits: Vec::new(),
            names: vec!["api.alpha.test".into(), "other.test".into()],
            unmapped: Vec::new(),
            plan: Plan::default(),
            mappings: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            listen: ([127, 0, 0, 1], 0).into(),
            key: key_of,
        }
    }

    /// `authsome run` with the flags that the world needs, up to the child's command.
    pub(crate) fn run(&self, child: &[&str]) -> Command {
        self.run_with(&[], child)
    }

    /// The same with flags of the test's own.
    pub(crate) fn run_with(&self, flags: &[&str], child: &[&str]) -> Command {
        let mut command = self.home.command();
        command.arg("run").args(&self.flags).args(flags).arg("--").args(child);
        command
    }

    /// One request in a tunnel to `alpha`'s host.
    pub(crate) async fn ask(&self, version: Version, ask: &Ask) -> Answer {
        self.client.ask(version, ALPHA, ask).await
    }
}

/// `Bearer` and the key of `alpha`.
pub(crate) fn alpha_bearer() -> String {
    format!("Bearer {}", key_of("alpha"))
}

impl Builder {
    /// Defines a provider and stores its key.
    pub(crate) fn provider(mut self, definition: Definition) -> Self {
        self.definitions.push(definition);
        self
    }

    /// Writes a definition after the logins.
    pub(crate) fn edited(mut self, definition: Definition) -> Self {
        self.edits.push(definition);
        self
    }

    /// Leaves definitions and logins to the test.
    pub(crate) fn logged_in(mut self) -> Self {
        self.definitions.clear();
        self
    }

    /// A further name that the server has in its certificate and is found at.
    pub(crate) fn name(mut self, name: &str) -> Self {
        self.names.push(name.into());
        self
    }

    /// A name of the server's certificate that nothing maps to the server.
    pub(crate) fn unmapped(mut self, name: &str) -> Self {
        self.unmapped.push(name.into());
        self
    }

    pub(crate) fn origin(mut self, change: impl FnOnce(Plan) -> Plan) -> Self {
        self.plan = change(self.plan);
        self
    }

    /// Where `host:port` is found instead.
    pub(crate) fn found_at(mut self, origin: &str, address: SocketAddr) -> Self {
        self.mappings.push((origin.into(), address));
        self
    }

    /// A flag of `proxy`.
    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Where the proxy listens.
    pub(crate) fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Other keys than [`key_of`].
    pub(crate) fn keys(mut self, key: fn(&str) -> String) -> Self {
        self.key = key;
        self
    }

    /// Logs all that can be logged.
    pub(crate) fn verbose(self) -> Self {
        self.environment("RUST_LOG", "trace").environment("AUTHSOME_LOG", "trace").argument("--verbose")
    }

    /// The authority, for servers that the test starts itself.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) async fn start(self) -> World {
        let names: Vec<&str> = self.names.iter().chain(&self.unmapped).map(String::as_str).collect();
        let origin = Origin::start(self.authority.certify(&names), self.plan.clone()).await;
        self.connect();
        let flags = self.flags(origin.address);
        let proxy = Proxy::start(self.command(&flags));
        let roots = tls::roots(&self.home.ok(&["ca", "export"]));
        let client = Client { proxy: proxy.address, token: proxy.token.clone(), roots };
        World { home: self.home, authority: self.authority, origin, proxy, client, flags }
    }

    fn connect(&self) {
        for definition in &self.definitions {
            self.home.define(definition);
        }
        for definition in &self.definitions {
            self.home.login(definition.name(), &(self.key)(definition.name()));
        }
        for definition in &self.edits {
            self.home.define(definition);
        }
    }

    fn command(&self, flags: &[OsString]) -> Command {
        let mut command = self.home.command();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(["--json", "proxy", "--listen", &self.listen.to_string()]);
        command.args(flags).args(&self.arguments);
        command
    }

    /// Whom to trust upstream and where to find it.
    fn flags(&self, origin: SocketAddr) -> Vec<OsString> {
        let upstream_ca = self.home.scratch().join("upstream-ca.pem");
        std::fs::write(&upstream_ca, self.authority.pem()).unwrap();
        let mut flags = vec![OsString::from("--upstream-ca"), upstream_ca.into()];
        let mapped = |origin: &str| self.mappings.iter().any(|(mapped, _)| mapped == origin);
        let usual = self.names.iter().map(|name| (format!("{name}:443"), origin));
        let usual = usual.filter(|(name, _)| !mapped(name));
        for (name, address) in usual.chain(self.mappings.iter().cloned()) {
            flags.push("--connect-to".into());
            flags.push(format!("{name}:{}:{}", address.ip(), address.port()).into());
        }
        flags
    }
}

/// A world whose server answers its first request with a body that the test feeds.
pub(crate) async fn fed_world() -> (World, streams::Feed) {
    let (feed, body) = streams::fed();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let reply = move |_| {
        let body: streams::AnyBody = body.lock().unwrap().take().unwrap_or_else(streams::empty);
        async move { http::Response::new(body) }
    };
    (World::builder().origin(|plan| plan.handler(reply)).start().await, feed)
}
