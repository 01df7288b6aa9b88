//! A lane: one way from the load generator to the origin, and the processes it goes through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::ClientConfig;

use crate::ledger::Ledger;
use crate::origin;
use crate::process::Server;
use crate::tls::{self, Protocol};

/// The lanes, in the order of the table's columns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Name {
    Direct,
    Relay,
    Authsome,
    Mitmproxy,
}

impl Name {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::Authsome => "authsome",
            Self::Mitmproxy => "mitmproxy",
        }
    }

    /// Whether this lane places the credential.
    pub(crate) fn injects(self) -> bool {
        matches!(self, Self::Authsome | Self::Mitmproxy)
    }
}

/// Where a proxy listens and what it wants to hear.
pub(crate) struct Entry {
    pub(crate) address: SocketAddr,
    /// The port in the CONNECT target.
    pub(crate) port: u16,
    /// `Proxy-Authorization`.
    pub(crate) authorization: Option<String>,
    pub(crate) server: Server,
    /// When it was seen to accept, by the monotonic clock.
    pub(crate) ready: u64,
}

/// One way to the origin.
pub(crate) struct Lane {
    pub(crate) name: Name,
    pub(crate) origin: SocketAddr,
    pub(crate) ledger: Arc<Ledger>,
    entries: Vec<(Option<Protocol>, Entry)>,
    configs: [Arc<ClientConfig>; 2],
    cold: AtomicUsize,
}

impl Lane {
    /// `entries` holds one for each protocol, one for both (`None`), or nothing: the direct lane.
    pub(crate) fn new(
        name: Name,
        route: (SocketAddr, Arc<Ledger>),
        entries: Vec<(Option<Protocol>, Entry)>,
        roots: &[u8],
    ) -> Result<Self> {
        let configs = [tls::client(roots, Protocol::H1, false)?, tls::client(roots, Protocol::H2, false)?];
        let (origin, ledger) = route;
        Ok(Self { name, origin, ledger, entries, configs, cold: AtomicUsize::new(0) })
    }

    pub(crate) fn entry(&self, protocol: Protocol) -> Option<&Entry> {
        self.entries.iter().find(|(only, _)| only.is_none_or(|only| only == protocol)).map(|(_, entry)| entry)
    }

    pub(crate) fn tls(&self, protocol: Protocol) -> Arc<ClientConfig> {
        Arc::clone(&self.configs[protocol as usize])
    }

    /// CPU time of the proxy that serves this protocol; nothing for the direct lane.
    pub(crate) fn cpu(&self, protocol: Protocol) -> Result<Option<Duration>> {
        self.entry(protocol).map(|entry| entry.server.cpu().context(self.name.text())).transpose()
    }

    /// Resident KiB of the proxy that serves this protocol; nothing for the direct lane.
    pub(crate) fn resident_kib(&self, protocol: Protocol) -> Result<Option<u64>> {
        self.entry(protocol).map(|entry| entry.server.resident_kib()).transpose()
    }

    /// A host that this lane has not met before.
    pub(crate) fn cold_host(&self) -> String {
        cold_host(self.cold.fetch_add(1, Ordering::Relaxed))
    }
}

/// The name of the n-th host that is met once.
pub(crate) fn cold_host(number: usize) -> String {
    format!("c{number}.{}", origin::COLD)
}
