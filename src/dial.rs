//! The only outbound sockets: names are resolved here, once, and the address that was checked is the
//! one that is dialled.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::origin::{Host, Origin};

mod connect_to;
mod upstream_proxy;

pub(crate) use connect_to::ConnectTo;
pub(crate) use upstream_proxy::{UpstreamProxies, UpstreamProxyError};

/// Name resolution and TCP connect together may take this long.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The next address is tried beside a silent one after this long (RFC 8305 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// `getaddrinfo` cannot be cancelled: no more than this many of its threads at once.
const MAX_LOOKUPS: usize = 32;

/// Why no socket was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The name has no address.
    #[error("name resolution failed")]
    Resolve(#[source] io::Error),
    /// No address answered.
    #[error("connection failed")]
    Connect(#[source] io::Error),
    /// No address answered in time.
    #[error("no answer within {} seconds", DIAL_TIMEOUT.as_secs())]
    Timeout,
    /// A cloud metadata service, which hands out credentials to whoever asks.
    #[error("the address is a cloud metadata service")]
    Metadata,
    /// One of our own listeners: the connection would loop.
    #[error("the address is this proxy itself")]
    OwnListener,
    /// Private, loopback or link-local, while only public addresses are allowed.
    #[error("the address is private")]
    Private,
    /// The upstream proxy refused or failed.
    #[error("upstream proxy failed")]
    UpstreamProxy(#[source] UpstreamProxyError),
}

/// A dial in progress.
pub(crate) type Dialing<'a> = Pin<Box<dyn Future<Output = Result<TcpStream, DialError>> + Send + 'a>>;

/// Opens outbound sockets.
pub(crate) trait Dial: fmt::Debug + Send + Sync {
    /// Opens a TCP connection to an origin, without delay for small writes.
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a>;
}

/// Dials for real.
#[derive(Debug)]
pub(crate) struct Dialer {
    connect_to: HashMap<Origin, Origin>,
    proxies: UpstreamProxies,
    own: SocketAddr,
    public_only: bool,
    lookups: Arc<Semaphore>,
}

impl Dialer {
    /// A dialer that refuses to reach `own`, the address of this proxy's listener.
    pub(crate) fn new(own: SocketAddr, connect_to: Vec<ConnectTo>, proxies: UpstreamProxies) -> Self {
        // The first of two mappings of one origin counts, as in curl.
        let connect_to = connect_to.into_iter().rev().map(ConnectTo::into_pair).collect();
        Self { connect_to, proxies, own, public_only: false, lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }

    /// Refuses private, loopback and link-local addresses, for a listener that is not on loopback.
    #[must_use]
    pub(crate) fn public_only(mut self, yes: bool) -> Self {
        self.public_only = yes;
        self
    }

    async fn open(&self, origin: &Origin) -> Result<TcpStream, DialError> {
        let deadline = Instant::now() + DIAL_TIMEOUT;
        let mapped = self.connect_to.get(origin);
        let target = mapped.unwrap_or(origin);
        let proxy = if mapped.is_none() { self.proxies.for_origin(origin) } else { None };
        if proxy.is_some() {
            self.check_named(origin)?;
        }
        let reached = proxy.map_or(target, |proxy| proxy.origin());
        let addresses =
            timeout_at(deadline, self.resolve(reached)).await.map_err(|_| DialError::Timeout)??;
        // An operator's own mapping or proxy may be private; metadata and ourselves never are a target.
        let public_only = self.public_only && mapped.is_none() && proxy.is_none();
        let allowed = self.filter(addresses, public_only)?;
        let stream = timeout_at(deadline, race(allowed)).await.map_err(|_| DialError::Timeout)??;
        stream.set_nodelay(true).map_err(DialError::Connect)?;
        match proxy {
            None => Ok(stream),
            Some(proxy) => {
                let connected = timeout_at(deadline, proxy.connect(stream, origin)).await;
                connected.map_err(|_| DialError::Timeout)?.map_err(DialError::UpstreamProxy)
            }
        }
    }

    /// What can be told from the name alone, for an origin that an upstream proxy will resolve.
    fn check_named(&self, origin: &Origin) -> Result<(), DialError> {
        match origin.host() {
            Host::Address(address) => {
                let refusal = self.refusal(SocketAddr::new(*address, origin.port()), self.public_only);
                refusal.map_or(Ok(()), Err)
            }
            Host::Name(name) if METADATA_NAMES.contains(&&**name) => Err(DialError::Metadata),
            Host::Name(_) => Ok(()),
        }
    }

    async fn resolve(&self, origin: &Origin) -> Result<Vec<SocketAddr>, DialError> {
        match origin.host() {
            Host::Address(address) => Ok(vec![SocketAddr::new(*address, origin.port())]),
            Host::Name(name) => {
                let unavailable = |_| DialError::Resolve(io::ErrorKind::Other.into());
                let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(unavailable)?;
                let (name, port) = (Arc::clone(name), origin.port());
                // The permit belongs to the thread, which goes on when nobody waits any more.
                let lookup = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    (&*name, port).to_socket_addrs().map(Vec::from_iter)
                });
                lookup.await.map_err(|error| DialError::Resolve(error.into()))?.map_err(DialError::Resolve)
            }
        }
    }

    /// Drops what must not be dialled; fails with the reason when nothing is left.
    fn filter(&self, addresses: Vec<SocketAddr>, public_only: bool) -> Result<Vec<SocketAddr>, DialError> {
        let mut refusal = DialError::Resolve(io::ErrorKind::NotFound.into());
        let mut allowed = Vec::with_capacity(addresses.len());
        for address in addresses {
            match self.refusal(address, public_only) {
                Some(reason) => refusal = reason,
                None => allowed.push(address),
            }
        }
        if allowed.is_empty() { Err(refusal) } else { Ok(allowed) }
    }

    fn refusal(&self, address: SocketAddr, public_only: bool) -> Option<DialError> {
        let ip = address.ip().to_canonical();
        if is_metadata(ip) {
            return Some(DialError::Metadata);
        }
        if address.port() == self.own.port()
            && (ip == self.own.ip() || ip.is_loopback() || ip.is_unspecified())
        {
            return Some(DialError::OwnListener);
        }
        (public_only && !is_public(ip)).then_some(DialError::Private)
    }
}

impl Dial for Dialer {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        Box::pin(self.open(origin))
    }
}

/// Connects to the first address that answers, each next one started 250 ms after the last (RFC 8305).
#[expect(clippy::disallowed_methods, reason = "outbound sockets are opened here")]
async fn race(addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    let mut remaining = addresses.into_iter();
    let mut attempts = JoinSet::new();
    loop {
        if let Some(address) = remaining.next() {
            attempts.spawn(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(DialError::Connect(failure));
        }
        let delay = if remaining.len() == 0 { DIAL_TIMEOUT } else { ATTEMPT_DELAY };
        match tokio::time::timeout(delay, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => failure = error,
            Ok(Some(Err(_)) | None) | Err(_) => {}
        }
    }
}

/// Names of metadata services, for when somebody else resolves them.
const METADATA_NAMES: [&str; 3] = ["metadata.google.internal", "metadata", "instance-data"];

/// The addresses at which clouds hand credentials to any local process: all of IPv4 link-local, and single ones.
fn is_metadata(ip: IpAddr) -> bool {
    const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    const V6: [Ipv6Addr; 3] = [
        Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
        Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023),
        Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
    ];
    let v4 = |address: Ipv4Addr| address.is_link_local() || address == ALIBABA;
    match ip {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => V6.contains(&address) || embedded_v4(address).is_some_and(v4),
    }
}

/// The IPv4 address inside a NAT64 (RFC 6052), 6to4 (RFC 3056) or IPv4-compatible address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified())
                && !(v4.is_broadcast() || v4.is_multicast() || shared || a == 0)
        }
        IpAddr::V6(v6) => {
            let special = v6.is_loopback() || v6.is_unspecified() || v6.is_multicast();
            let local = v6.is_unique_local() || v6.is_unicast_link_local();
            !special && !local && embedded_v4(v6).is_none_or(|v4| is_public(v4.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialer() -> Dialer {
        Dialer::new("127.0.0.1:7000".parse().unwrap(), Vec::new(), UpstreamProxies::default())
    }

    #[test]
    fn metadata_services_are_refused_in_every_spelling() {
        for address in [
            "169.254.169.254:80",
            "[::ffff:169.254.169.254]:80",
            "[fd00:ec2::254]:80",
            "[64:ff9b::a9fe:a9fe]:80",
        ] {
            let refusal = dialer().filter(vec![address.parse().unwrap()], false);
            assert!(matches!(refusal, Err(DialError::Metadata)), "{address}");
        }
    }

    #[test]
    fn our_own_listener_is_refused_under_every_loopback_address() {
        for address in
            ["127.0.0.1:7000", "127.1.2.3:7000", "0.0.0.0:7000", "[::1]:7000", "[::ffff:127.0.0.1]:7000"]
        {
            let refusal = dialer().filter(vec![address.parse().unwrap()], false);
            assert!(matches!(refusal, Err(DialError::OwnListener)), "{address}");
        }
        assert!(dialer().filter(vec!["127.0.0.1:7001".parse().unwrap()], false).is_ok());
    }

    #[test]
    fn beyond_loopback_only_public_addresses_are_dialled() {
        for address in [
            "10.0.0.1:443",
            "127.0.0.1:443",
            "100.64.0.1:443",
            "[fe80::1]:443",
            "[fd00::1]:443",
            "[2002:a00:1::]:443",
        ] {
            let refusal = dialer().filter(vec![address.parse().unwrap()], true);
            assert!(matches!(refusal, Err(DialError::Private)), "{address}");
        }
        assert!(
            dialer()
                .filter(vec!["192.0.2.1:443".parse().unwrap(), "10.0.0.1:443".parse().unwrap()], true)
                .is_ok()
        );
    }
}
