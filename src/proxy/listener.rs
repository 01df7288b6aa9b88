//! The explicit entry: who may use the proxy, and what is asked of it before a tunnel exists.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use http::{Method, Request, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::proxy::body::ResponseBody;
use crate::proxy::error::Error;
use crate::proxy::tunnel::{Downstream, Tunnel};
use crate::proxy::{Worker, forward, serve};

mod admission;
#[cfg(target_os = "linux")]
mod peer;

pub(crate) use admission::Admission;

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
    if let Err(error) = tunnel.run(worker, downstream).await {
        tracing::debug!(%error, "tunnel ended");
    }
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
        async move { Ok::<_, Infallible>(respond(&entry, request).await) }
    });
    let connection = serve::http1_builder().serve_connection(TokioIo::new(socket), service);
    let parts = tokio::select! {
        parts = connection.without_shutdown() => parts.ok()?,
        () = entry.worker.draining.cancelled() => return None,
    };
    Some(Downstream { socket: parts.io.into_inner(), early: BytesMut::from(parts.read_buf) })
}

async fn respond(entry: &Entry, request: Request<Incoming>) -> Response<ResponseBody> {
    match admit_and_open(entry, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(reason = error.reason(), %error, "refused");
            entry.worker.shared.refused(&error);
            error.into_response()
        }
    }
}

async fn admit_and_open(entry: &Entry, request: Request<Incoming>) -> Result<Response<ResponseBody>, Error> {
    entry.worker.shared.admission.admit(request.headers(), entry.ends).await?;
    if request.method() == Method::CONNECT {
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
