//! A real TLS server that records what reaches it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::answer;
use super::soon;
use super::streams::{AnyBody, full};
use super::tls;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The TCP connection, counted from 0.
    pub(crate) connection: usize,
    pub(crate) version: Version,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// `None` until the body was read to its end, for ever if it broke off.
    pub(crate) body: Option<Bytes>,
    pub(crate) trailers: HeaderMap,
}

impl Seen {
    /// All values of a header.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        answer::values(&self.headers, name)
    }
}

/// What happened at the server up to now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// TCP connections accepted.
    pub(crate) connections: usize,
    /// Those still open.
    pub(crate) open: usize,
    /// The name in each ClientHello of a completed handshake.
    pub(crate) names: Vec<Option<String>>,
    pub(crate) requests: Vec<Seen>,
}

type Reply = Pin<Box<dyn Future<Output = Response<AnyBody>> + Send>>;
type Handler = dyn Fn(Request<Incoming>) -> Reply + Send + Sync;

/// The server; it ends with the test's runtime.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    record: watch::Receiver<Record>,
}

/// How a server behaves.
#[derive(Clone)]
pub(crate) struct Plan {
    alpn: Vec<&'static str>,
    handler: Option<Arc<Handler>>,
    concurrent_streams: Option<u32>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { alpn: tls::BOTH.to_vec(), handler: None, concurrent_streams: None }
    }
}

impl Plan {
    pub(crate) fn alpn(mut self, alpn: &[&'static str]) -> Self {
        self.alpn = alpn.to_vec();
        self
    }

    /// h2 streams that the server allows at once.
    pub(crate) fn concurrent_streams(mut self, limit: u32) -> Self {
        self.concurrent_streams = Some(limit);
        self
    }

    /// Answers instead of the default, which reads the body and says `hello`. The body is not recorded then.
    pub(crate) fn handler<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        self.handler = Some(Arc::new(move |request| Box::pin(handler(request))));
        self
    }
}

impl Origin {
    pub(crate) async fn start(identity: Arc<CertifiedKey>, plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, record) = watch::channel(Record::default());
        let acceptor = tokio_rustls::TlsAcceptor::from(tls::server(&identity, &plan.alpn));
        let server = Arc::new(Server { acceptor, plan, record: sender });
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(socket));
            }
        });
        Self { address, record }
    }

    pub(crate) fn record(&self) -> Record {
        self.record.borrow().clone()
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.record.borrow().requests.clone()
    }

    /// The only request there was.
    #[track_caller]
    pub(crate) fn only_request(&self) -> Seen {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    #[track_caller]
    pub(crate) fn expect_untouched(&self) {
        let record = self.record();
        assert_eq!(record.connections, 0, "the server was dialled: {record:?}");
    }

    #[track_caller]
    pub(crate) fn expect_no_request(&self) {
        assert!(self.requests().is_empty(), "{:?}", self.requests());
    }

    /// Waits until the record says so.
    pub(crate) async fn until(&self, what: &str, holds: impl FnMut(&Record) -> bool) -> Record {
        let mut record = self.record.clone();
        soon(what, record.wait_for(holds)).await.unwrap().clone()
    }
}

struct Server {
    acceptor: tokio_rustls::TlsAcceptor,
    plan: Plan,
    record: watch::Sender<Record>,
}

impl Server {
    async fn serve(self: Arc<Self>, socket: TcpStream) {
        socket.set_nodelay(true).unwrap();
        let mut connection = 0;
        self.record.send_modify(|record| {
            connection = record.connections;
            record.connections += 1;
            record.open += 1;
        });
        self.talk(socket, connection).await;
        self.record.send_modify(|record| record.open -= 1);
    }

    async fn talk(self: &Arc<Self>, socket: TcpStream, connection: usize) {
        let Ok(stream) = self.acceptor.accept(socket).await else { return };
        let session = stream.get_ref().1;
        let h2 = session.alpn_protocol() == Some(b"h2");
        let name = session.server_name().map(ToOwned::to_owned);
        self.record.send_modify(|record| record.names.push(name));
        let server = self.clone();
        let service = service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, std::convert::Infallible>(server.reply(request, connection).await) }
        });
        let io = TokioIo::new(stream);
        let _ = if h2 {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_concurrent_streams(self.plan.concurrent_streams).max_header_list_size(1 << 20);
            builder.serve_connection(io, service).await
        } else {
            let builder = hyper::server::conn::http1::Builder::new();
            builder.serve_connection(io, service).with_upgrades().await
        };
    }

    async fn reply(&self, request: Request<Incoming>, connection: usize) -> Response<AnyBody> {
        let seen = Seen {
            connection,
            version: request.version(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: None,
            trailers: HeaderMap::new(),
        };
        let mut index = 0;
        self.record.send_modify(|record| {
            index = record.requests.len();
            record.requests.push(seen);
        });
        if let Some(handler) = &self.plan.handler {
            return handler(request).await;
        }
        if let Ok(body) = request.into_body().collect().await {
            let trailers = body.trailers().cloned().unwrap_or_default();
            self.record.send_modify(|record| {
                record.requests[index].body = Some(body.to_bytes());
                record.requests[index].trailers = trailers;
            });
        }
        Response::new(full("hello"))
    }
}
