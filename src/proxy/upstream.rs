//! The server's side: our own pool of connections over verified TLS, HTTP/1 our own and HTTP/2 by hyper.
//!
//! A worker has one [`Upstream`]; each origin has one [`Pool`] in it, which a tunnel looks up once.

use std::sync::Arc;

use http::Response;
use parking::Parking;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_util::task::TaskTracker;

use crate::dial::Dial;
use crate::origin::{Host, Origin};
use crate::proxy::error::Error;
use crate::proxy::request::Outbound;

mod handshake;
pub(crate) use handshake::TaskExecutor;
mod http1;
pub(crate) use http1::Switched;
#[cfg(fuzzing)]
pub(crate) use http1::read_responses;
mod parking;
mod patience;
mod ready;

use ready::Failure;
pub(crate) use ready::{Ready, Reserved, ServerBody};

/// The version of HTTP inside a tunnel, the same on both of its sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// The identifier in ALPN (RFC 7301 6).
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Protocol::Http1 => b"http/1.1",
            Protocol::Http2 => b"h2",
        }
    }

    /// What an ALPN identifier means to us.
    pub(crate) fn from_alpn(id: &[u8]) -> Option<Self> {
        [Protocol::Http2, Protocol::Http1].into_iter().find(|protocol| protocol.alpn() == id)
    }
}

/// What every pool of a worker needs.
#[derive(Debug)]
struct Means {
    dial: Arc<dyn Dial>,
    tls: Arc<ClientConfig>,
    tasks: TaskTracker,
}

/// The upstream side of one worker.
#[derive(Debug)]
pub(crate) struct Upstream {
    means: Arc<Means>,
    pools: std::sync::Mutex<hashbrown::HashMap<Origin, Arc<Pool>>>,
}

/// So many origins keep a pool; those in no tunnel go first.
const MAX_POOLS: usize = 512;

impl Upstream {
    pub(crate) fn new(dial: Arc<dyn Dial>, tls: Arc<ClientConfig>, tasks: TaskTracker) -> Self {
        Self { means: Arc::new(Means { dial, tls, tasks }), pools: Default::default() }
    }

    /// The pool of an origin.
    pub(crate) fn pool(&self, origin: &Origin) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(pool) = pools.get(origin) {
            return Arc::clone(pool);
        }
        if pools.len() >= MAX_POOLS {
            pools.retain(|_, pool| Arc::strong_count(pool) > 1);
        }
        let pool = Arc::new(Pool::new(origin.clone(), Arc::clone(&self.means)));
        pools.insert(origin.clone(), Arc::clone(&pool));
        pool
    }

    /// Dials without TLS, for a request that came in the clear and gets nothing injected.
    pub(crate) async fn cleartext(&self, origin: &Origin) -> Result<Ready, Error> {
        handshake::cleartext(&self.means, origin).await
    }

    /// Opens a plain tunnel to an origin.
    pub(crate) async fn dial(&self, origin: &Origin) -> Result<tokio::net::TcpStream, Error> {
        handshake::dial(&self.means, origin).await
    }

    /// Closes every idle connection.
    pub(crate) fn drain(&self) {
        let pools = self.pools.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        pools.values().for_each(|pool| pool.parking.clear());
    }

    /// Closes what was idle for too long.
    pub(crate) fn sweep(&self) {
        let mut pools = self.pools.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        pools.retain(|_, pool| pool.parking.sweep() || Arc::strong_count(pool) > 1);
    }
}

/// The connections to one origin, and what was learned about it.
#[derive(Debug)]
pub(crate) struct Pool {
    origin: Origin,
    name: Option<ServerName<'static>>,
    means: Arc<Means>,
    parking: Parking,
}

impl Pool {
    fn new(origin: Origin, means: Arc<Means>) -> Self {
        let name = match origin.host() {
            Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
            Host::Address(address) => Some(ServerName::IpAddress((*address).into())),
        };
        Self { origin, name, means, parking: Parking::default() }
    }

    /// Which protocol the tunnel will speak: what the origin was seen to prefer among the client's offers,
    /// learned from one connection that then waits in the pool.
    pub(crate) async fn protocol(self: &Arc<Self>, offered: &[Protocol]) -> Result<Protocol, Error> {
        match (offered.contains(&Protocol::Http2), self.parking.preferred()) {
            (false, _) => Ok(Protocol::Http1),
            (true, Some(known)) if offered.contains(&known) => Ok(known),
            (true, Some(_)) => Err(Error::UpstreamProtocol(self.origin.clone())),
            (true, None) => {
                let (protocol, ready) = Box::pin(handshake::secure(self, offered)).await?;
                self.parking.prefer(protocol);
                match ready {
                    Ready::Http1(connection) => self.park(connection),
                    Ready::Http2 { sender, stream, .. } => self.parking.share(sender, stream),
                }
                Ok(protocol)
            }
        }
    }

    /// A connection that speaks the tunnel's protocol: an idle one, or a new one, verified before it is returned.
    pub(crate) async fn reserve(self: &Arc<Self>, protocol: Protocol) -> Result<Reserved, Error> {
        let ready = match self.parking.take(protocol) {
            Some(ready) => ready,
            None => self.fresh(protocol).await?,
        };
        Ok(Reserved { ready: Some(ready), pool: Arc::clone(self) })
    }

    async fn fresh(self: &Arc<Self>, protocol: Protocol) -> Result<Ready, Error> {
        let (negotiated, ready) = Box::pin(handshake::secure(self, &[protocol])).await?;
        if negotiated != protocol {
            self.parking.forget();
            return Err(Error::UpstreamProtocol(self.origin.clone()));
        }
        if let Ready::Http2 { sender, stream, .. } = &ready {
            self.parking.share(sender.clone(), stream.clone());
        }
        Ok(ready)
    }

    /// Keeps an idle HTTP/1 connection.
    fn park(&self, connection: http1::Connection) {
        self.parking.park(connection);
    }

    /// Sends a request. Only when not one byte of it was written is it sent again, on a new connection.
    pub(crate) fn send(
        self: &Arc<Self>,
        reserved: Reserved,
        outbound: Outbound,
    ) -> impl Future<Output = Result<Response<ServerBody>, Error>> + Send {
        let first = reserved
            .take()
            .map(|ready| (ready.protocol(), ready.send(outbound.into_request(), Some(Arc::clone(self)))));
        async move {
            let (protocol, sent) = first?;
            let unsent = match sent.await {
                Ok(answered) => return Ok(answered),
                Err(Failure { unsent: Some(request), .. }) => request,
                Err(failure) => return Err(failure.of(&self.origin)),
            };
            let ready = self.fresh(protocol).await?;
            let again = Box::pin(ready.send(*unsent, Some(Arc::clone(self))));
            again.await.map_err(|failure| failure.of(&self.origin))
        }
    }
}
