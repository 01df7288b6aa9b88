//! From an origin to a verified connection that speaks HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::TaskTracker;

use super::parking::Streams;
use super::{Means, Pool, Protocol, Ready, http1};
use crate::origin::Origin;
use crate::proxy::error::Error;
use crate::proxy::stream::Patient;

/// A TLS handshake with a server may take this long.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_LIST: u32 = 64 * 1024;
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Wide open: many small unread frames would else end in a GOAWAY; the stream windows bound the memory.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

pub(super) async fn dial(means: &Means, origin: &Origin) -> Result<TcpStream, Error> {
    means.dial.dial(origin).await.map_err(|source| Error::Dial { origin: origin.clone(), source })
}

/// Opens a connection without TLS, for one request.
pub(super) async fn cleartext(means: &Means, origin: &Origin) -> Result<Ready, Error> {
    let socket = dial(means, origin).await?;
    Ok(Ready::Http1(http1::Connection::new(Patient::new(socket), means.tasks.clone())))
}

/// Dials, verifies, and starts HTTP in the protocol that the server chose among `offered`.
pub(super) async fn secure(pool: &Arc<Pool>, offered: &[Protocol]) -> Result<(Protocol, Ready), Error> {
    let socket = dial(&pool.means, &pool.origin).await?;
    let stream = verify(pool, socket, offered).await?;
    let chosen = stream.get_ref().1.alpn_protocol().map(Protocol::from_alpn);
    let protocol = match chosen {
        None => Protocol::Http1,
        Some(Some(protocol)) if offered.contains(&protocol) => protocol,
        Some(_) => return Err(Error::UpstreamProtocol(pool.origin.clone())),
    };
    let stream = Patient::new(stream);
    let ready = match protocol {
        Protocol::Http1 => Ready::Http1(http1::Connection::new(stream, pool.means.tasks.clone())),
        Protocol::Http2 => http2(pool, stream).await?,
    };
    Ok((protocol, ready))
}

/// Starts HTTP/2 and its driver.
async fn http2(pool: &Pool, stream: Patient) -> Result<Ready, Error> {
    let tasks = &pool.means.tasks;
    let started = http2_builder(tasks).handshake(TokioIo::new(stream)).await;
    let failed =
        |source: hyper::Error| Error::UpstreamExchange { origin: pool.origin.clone(), source: source.into() };
    let (sender, mut connection) = started.map_err(failed)?;
    let streams = Streams::new();
    let allowed = streams.allowance();
    tasks.spawn(std::future::poll_fn(move |cx| {
        let driven = Pin::new(&mut connection).poll(cx);
        allowed.store(connection.current_max_send_streams(), Ordering::Relaxed);
        driven
    }));
    Ok(Ready::Http2 { sender, stream: streams, reused: false })
}

async fn verify(pool: &Pool, socket: TcpStream, offered: &[Protocol]) -> Result<TlsStream<TcpStream>, Error> {
    let origin = || pool.origin.clone();
    let Some(name) = pool.name.clone() else {
        return Err(Error::BadRequest("the host is not a name that a certificate can hold"));
    };
    let alpn = offered.iter().map(|protocol| protocol.alpn().to_vec()).collect();
    let connector = TlsConnector::from(Arc::clone(&pool.means.tls));
    let handshake = connector.with_alpn(alpn).connect(name, socket);
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Err(_) => Err(Error::UpstreamTimeout(origin())),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(source)) => Err(match certificate_error(&source) {
            Some(source) => Error::UpstreamCertificate { origin: origin(), source },
            None => Error::UpstreamHandshake { origin: origin(), source },
        }),
    }
}

fn certificate_error(error: &io::Error) -> Option<rustls::Error> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(error, rustls::Error::InvalidCertificate(_)).then(|| error.clone())
}

fn http2_builder(tasks: &TaskTracker) -> http2::Builder<TaskExecutor> {
    let mut builder = http2::Builder::new(TaskExecutor(tasks.clone()));
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIST)
        .max_send_buf_size(64 * 1024)
        .max_concurrent_reset_streams(64)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(15))
        .keep_alive_while_idle(false);
    builder
}

/// Spawns hyper's tasks into our task set.
#[derive(Debug, Clone)]
pub(crate) struct TaskExecutor(pub(crate) TaskTracker);

impl<F> Executor<F> for TaskExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
