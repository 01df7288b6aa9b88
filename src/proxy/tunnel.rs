//! The life of a tunnel: from the CONNECT authority to an end.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::origin::{Host, Origin};
use crate::proxy::client_hello::{self, ClientHello, Hello};
use crate::proxy::error::Error;
use crate::proxy::pace::Pace;
use crate::proxy::tls::{self, Prefixed};
use crate::proxy::upstream::{Pool, Protocol, Reserved};
use crate::proxy::{Worker, copy, serve};
use crate::routes::Verdict;

/// From the 200 to the end of the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A ClientHello with post-quantum shares has about 1.8 KiB; beyond this it is none.
const MAX_CLIENT_HELLO: usize = 64 * 1024;

/// A tunnel that was granted.
pub(crate) enum Tunnel {
    /// TLS ends here.
    Intercept(Origin),
    /// Not one byte is read.
    PassThrough(TcpStream),
    /// An address: the ClientHello tells whether a route names its host.
    Peek(Origin),
}

/// A socket after its CONNECT was answered, and what the client sent ahead of the answer.
pub(crate) struct Downstream {
    pub(crate) socket: TcpStream,
    pub(crate) early: BytesMut,
}

impl Tunnel {
    /// Decides about a CONNECT before it is answered.
    pub(crate) async fn open(worker: &Worker, target: &str) -> Result<Self, Error> {
        let origin = Origin::from_authority(target).map_err(Error::BadAuthority)?;
        let shared = &worker.shared;
        let rules = shared.credentials.current().await?;
        match rules.routes.verdict(&origin) {
            Verdict::Intercept if shared.settings.passes(&origin) => Self::pass(worker, &origin).await,
            Verdict::Intercept if !shared.leaves.covers(&origin) => Err(Error::OutsideRunCa(origin)),
            Verdict::Intercept => Ok(Self::Intercept(origin)),
            Verdict::Peek => Ok(Self::Peek(origin)),
            Verdict::PassThrough if shared.settings.refuses(&origin) => Err(Error::Unmatched(origin)),
            Verdict::PassThrough => Self::pass(worker, &origin).await,
        }
    }

    async fn pass(worker: &Worker, origin: &Origin) -> Result<Self, Error> {
        worker.upstream.dial(origin).await.map(Self::PassThrough)
    }

    /// Carries the tunnel to its end.
    pub(crate) async fn run(self, worker: Arc<Worker>, downstream: Downstream) {
        let shared = Arc::clone(&worker.shared);
        let (target, ended) = match self {
            Self::PassThrough(upstream) => return Box::pin(replay(worker, downstream, upstream)).await,
            Self::Intercept(origin) => {
                (origin.to_string(), Box::pin(intercept(worker, origin, downstream)).await)
            }
            Self::Peek(address) => (address.to_string(), Box::pin(peek(worker, address, downstream)).await),
        };
        if let Err(error) = ended {
            tracing::debug!(target, reason = error.reason(), %error, "tunnel refused");
            shared.refused(&target, &error);
        }
    }
}

/// Ends TLS for the tunnel's one name and serves HTTP inside.
async fn intercept(worker: Arc<Worker>, origin: Origin, mut downstream: Downstream) -> Result<(), Error> {
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    match timeout_at(deadline, read_hello(&mut downstream)).await {
        Ok(Some(Hello::Complete(hello))) => terminate(worker, origin, hello, downstream, deadline).await,
        Ok(Some(_)) => {
            let error = Error::Cleartext(origin);
            serve::refuse_cleartext(downstream.socket, &error).await;
            Err(error)
        }
        Ok(None) | Err(_) => Ok(()),
    }
}

/// An address was named: a routed server name takes its place, and is resolved by us; else the address is dialled.
async fn peek(worker: Arc<Worker>, address: Origin, mut downstream: Downstream) -> Result<(), Error> {
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    let hello = timeout_at(deadline, read_hello(&mut downstream)).await.unwrap_or_default();
    if let Some(Hello::Complete(hello)) = hello
        && let Some(origin) = hello.name.as_deref().and_then(|name| name.parse::<Host>().ok())
    {
        let origin = Origin::new(origin, address.port());
        let rules = worker.shared.credentials.current().await?;
        let shared = &worker.shared;
        if rules.routes.verdict(&origin) == Verdict::Intercept && !shared.settings.passes(&origin) {
            if !shared.leaves.covers(&origin) {
                return Err(Error::OutsideRunCa(origin));
            }
            return terminate(worker, origin, hello, downstream, deadline).await;
        }
    }
    if worker.shared.settings.refuses(&address) {
        return Err(Error::Unmatched(address));
    }
    let upstream = worker.upstream.dial(&address).await?;
    Box::pin(replay(worker, downstream, upstream)).await;
    Ok(())
}

/// Sends on what was read already, then joins the two sockets.
async fn replay(worker: Arc<Worker>, downstream: Downstream, mut upstream: TcpStream) {
    if downstream.early.is_empty() || upstream.write_all(&downstream.early).await.is_ok() {
        copy::sockets(&worker, downstream.socket, upstream).await;
    }
}

/// Reads until the ClientHello is whole, or is seen to be none. `None`: the client went away.
async fn read_hello(downstream: &mut Downstream) -> Option<Hello> {
    loop {
        match client_hello::parse(&downstream.early) {
            Hello::Partial if downstream.early.len() < MAX_CLIENT_HELLO => {}
            Hello::Partial => return Some(Hello::NotTls),
            hello => return Some(hello),
        }
        downstream.early.reserve(4096);
        if downstream.socket.read_buf(&mut downstream.early).await.ok()? == 0 {
            return None;
        }
    }
}

/// A tunnel whose TLS ended here.
pub(crate) struct Terminated {
    pub(crate) worker: Arc<Worker>,
    pub(crate) origin: Origin,
    pub(crate) pool: Arc<Pool>,
    /// The origin as the audit log shows it.
    pub(crate) shown: String,
    /// The tunnel takes no further exchange.
    pub(crate) ending: CancellationToken,
    pub(crate) pace: Arc<Pace>,
    protocol: Protocol,
}

impl Terminated {
    /// A verified connection to the tunnel's origin. Where the server turns out to speak another protocol, the
    /// tunnel ends, so that the client's next one finds the right protocol.
    pub(crate) async fn ready(&self) -> Result<Reserved, Error> {
        let ready = self.pool.reserve(self.protocol).await;
        if matches!(ready, Err(Error::UpstreamProtocol(_))) {
            self.ending.cancel();
        }
        ready
    }
}

async fn terminate(
    worker: Arc<Worker>,
    origin: Origin,
    hello: ClientHello,
    downstream: Downstream,
    deadline: Instant,
) -> Result<(), Error> {
    let Downstream { mut socket, early } = downstream;
    if hello.name.as_deref().is_some_and(|name| !origin.is_named_by(name)) {
        tls::refuse_name(&mut socket).await;
        return Err(Error::Misdirected(origin));
    }
    let pool = worker.upstream.pool(&origin);
    // Where the server cannot be asked, each request will be answered with the reason.
    let learned = pool.protocol(&hello.protocols).await;
    let first = hello.protocols.first().copied();
    let protocol = learned.unwrap_or_else(|_| first.unwrap_or(Protocol::Http1));
    let config =
        worker.shared.leaves.config(&origin, protocol).map_err(|_| Error::OutsideRunCa(origin.clone()))?;
    let pace = Arc::new(Pace::default());
    let accept = tls::accept(config, Prefixed::new(early, socket, Arc::clone(&pace)));
    match timeout_at(deadline + HANDSHAKE_TIMEOUT, accept).await {
        Ok(Ok(stream)) => {
            let shown = if origin.port() == 443 { origin.host().to_string() } else { origin.to_string() };
            let ending = worker.draining.child_token();
            let tunnel = Arc::new(Terminated { worker, origin, pool, shown, ending, pace, protocol });
            serve::http(tunnel, protocol, stream).await;
        }
        Ok(Err(error)) => tls::explain_failure(&origin, &error),
        Err(_) => tracing::debug!(%origin, "the client did not finish its TLS handshake"),
    }
    Ok(())
}
