//! What is compared: how each lane's processes are prepared and started.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::lane::{Entry, Lane, Name};
use crate::ledger::Ledger;
use crate::process::{self, Server};
use crate::{clock, run};

mod authsome;
mod mitmproxy;
mod relay;

pub(crate) use authsome::until_stamp;

/// The key that `authsome` and the other injecting proxies hold.
const KEY: &str = "sk-bench-0123456789abcdefghijklmnop";

/// What all lanes share: a directory, the origin, the ledger.
pub(crate) struct Setup {
    pub(crate) directory: Directory,
    /// This program, which is also the origin and the relay.
    pub(crate) program: PathBuf,
    pub(crate) origin: SocketAddr,
    pub(crate) origin_ca: PathBuf,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) floor: run::Floor,
    /// How many hosts are met once.
    pub(crate) cold_hosts: usize,
    _origin: Server,
}

impl Setup {
    /// Starts the origin.
    pub(crate) fn start(cold_hosts: usize, floor: run::Floor) -> Result<Self> {
        raise_descriptors()?;
        let directory = Directory::create()?;
        let program = std::env::current_exe().context("where is this program?")?;
        let origin_ca = directory.0.join("origin.pem");
        let mut command = process::command(&program);
        command.arg("origin").arg("--ca-out").arg(&origin_ca).args(["--credential", &credential()]);
        let (address, server) = listening(Server::spawn(command, &directory.0.join("origin.log"))?)?;
        let ledger = Arc::default();
        Ok(Self {
            directory,
            program,
            origin: address,
            origin_ca,
            ledger,
            floor,
            cold_hosts,
            _origin: server,
        })
    }

    fn lane(
        &self,
        name: Name,
        entries: Vec<(Option<crate::tls::Protocol>, Entry)>,
        ca: &[u8],
    ) -> Result<Lane> {
        Lane::new(name, (self.origin, Arc::clone(&self.ledger)), entries, ca)
    }
}

/// A lane that can be started any number of times.
pub(crate) enum Peer {
    Direct,
    Relay,
    Authsome(authsome::Home),
    Mitmproxy(mitmproxy::Installed),
}

impl Peer {
    /// Prepares every lane that the options ask for; `label` keeps two sets of files apart.
    pub(crate) fn prepare(setup: &Setup, options: &run::Options, label: &str) -> Result<Vec<Self>> {
        let mut peers = vec![Self::Direct, Self::Relay];
        if let Some(binary) = options.authsome() {
            peers.push(Self::Authsome(authsome::Home::prepare(setup, binary, label)?));
        }
        if options.peer == run::Peer::Mitmproxy {
            peers.push(Self::Mitmproxy(mitmproxy::Installed::prepare(setup, label)?));
        }
        Ok(peers)
    }

    pub(crate) fn start(&self, setup: &Setup) -> Result<Lane> {
        match self {
            Self::Direct => setup.lane(Name::Direct, Vec::new(), &std::fs::read(&setup.origin_ca)?),
            Self::Relay => relay::start(setup),
            Self::Authsome(home) => home.start(setup),
            Self::Mitmproxy(installed) => installed.start(setup),
        }
        .with_context(|| format!("{} does not start", self.name().text()))
    }

    pub(crate) fn name(&self) -> Name {
        match self {
            Self::Direct => Name::Direct,
            Self::Relay => Name::Relay,
            Self::Authsome(_) => Name::Authsome,
            Self::Mitmproxy(_) => Name::Mitmproxy,
        }
    }
}

/// A private directory, removed with its owner.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    fn create() -> Result<Self> {
        let name = format!("authsome-bench-{}-{}", std::process::id(), clock::monotonic_ns());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Makes a directory in it and gives its path.
    fn sub(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// A log file's path that no other process has.
    fn log(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}-{}.log", clock::monotonic_ns()))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left behind lies in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The header value that the origin counts as right.
fn credential() -> String {
    format!("Bearer {KEY}")
}

/// Waits for a process's announcement and gives the address in it.
fn listening(mut server: Server) -> Result<(SocketAddr, Server)> {
    let line = server.announcement()?;
    let address = line["address"].as_str().context("no address in the announcement")?;
    Ok((address.parse()?, server))
}

/// Thousands of tunnels need descriptors, here and in every process started from here.
fn raise_descriptors() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// Reads a file, naming it on failure.
fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
