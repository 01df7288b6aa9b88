//! The explicit entry: who may use the proxy, and what is asked of it before a tunnel exists.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use http::{Method, Request, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::proxy::body::ResponseBody;
use crate::proxy::error::Error;
use crate::proxy::tunnel::{Downstream, Tunnel};
use crate::proxy::{Worker, forward, serve};

mod admission;
#[cfg(target_os = "linux")]
mod peer;

pub(crate) use admission::Admission;

/// A caller states its wish, or its next one, within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves one socket: requests until a tunnel is granted, then the tunnel.
pub(super) async fn serve_socket(worker: Arc<Worker>, socket: TcpStream, peer: SocketAddr) {
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let granted = Arc::new(Mutex::new(None));
    let entry = Arc::new(Entry { worker: Arc::clone(&worker), ends: Ends::of(&socket, peer), granted });
    let Some(downstream) = Box::pin(answer(&entry, socket)).await else { return };
    let Some(tunnel) = entry.take() else { return };
    drop(entry);
    tunnel.run(worker, downstream).await;
}

/// The two ends of a client's socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) client: SocketAddr,
    pub(crate) proxy: Option<SocketAddr>,
}

impl Ends {
    fn of(socket: &TcpStream, client: SocketAddr) -> Self {
        Self { client, proxy: socket.local_addr().ok() }
    }
}

/// One socket before its tunnel.
struct Entry {
    worker: Arc<Worker>,
    ends: Ends,
    granted: Arc<Mutex<Option<Tunnel>>>,
}

impl Entry {
    fn take(&self) -> Option<Tunnel> {
        self.granted.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }

    fn grant(&self, tunnel: Tunnel) {
        *self.granted.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(tunnel);
    }
}

/// Answers requests until one is a CONNECT that was granted, and returns the socket then.
async fn answer(entry: &Arc<Entry>, socket: TcpStream) -> Option<Downstream> {
    let service = service_fn(|request| {
        let entry = Arc::clone(entry);
        Box::pin(async move { Ok::<_, Infallible>(respond(&entry, request).await) })
    });
    let mut builder = serve::http1_builder();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection = Some(builder.serve_connection(TokioIo::new(socket), service));
    let mut draining = std::pin::pin!(entry.worker.draining.cancelled());
    let mut told = false;
    // `without_shutdown` would take the connection away from `graceful_shutdown`.
    let ended = std::future::poll_fn(|cx| {
        let Some(serving) = connection.as_mut() else { return Poll::Ready(Ok(())) };
        if !told && draining.as_mut().poll(cx).is_ready() {
            told = true;
            Pin::new(&mut *serving).graceful_shutdown();
        }
        serving.poll_without_shutdown(cx)
    });
    ended.await.ok()?;
    let parts = connection.take()?.into_parts();
    Some(Downstream { socket: parts.io.into_inner(), early: BytesMut::from(parts.read_buf) })
}

async fn respond(entry: &Entry, request: Request<Incoming>) -> Response<ResponseBody> {
    let target = request.uri().authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
    match admit_and_open(entry, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(reason = error.reason(), %error, "refused");
            // Whoever does not belong here must not be able to fill the log.
            if !matches!(error, Error::ProxyAuthentication) {
                entry.worker.shared.refused(&target, &error);
            }
            error.into_response()
        }
    }
}

async fn admit_and_open(entry: &Entry, request: Request<Incoming>) -> Result<Response<ResponseBody>, Error> {
    entry.worker.shared.admission.admit(request.headers(), entry.ends).await?;
    if request.method() == Method::CONNECT {
        if request.headers().get_all(header::HOST).iter().count() > 1 {
            return Err(Error::HostConflict);
        }
        let target = request.uri().authority().map_or("", http::uri::Authority::as_str);
        let tunnel = Tunnel::open(&entry.worker, target).await?;
        entry.grant(tunnel);
        return Ok(Response::new(ResponseBody::text(Default::default())));
    }
    match request.uri().scheme_str() {
        Some("http") => forward::forward(&entry.worker, request).await,
        Some(_) => {
            Err(Error::BadRequest("only http:// is forwarded in absolute form; use CONNECT for https"))
        }
        None if request.headers().contains_key(header::HOST) => {
            Err(Error::BadRequest("this is a proxy: send CONNECT, or an absolute http:// URL"))
        }
        None => Err(Error::BadRequest("this is a proxy")),
    }
}
