//! The API of the try-out: a TLS server on loopback that tells what reached it.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use authsome_ca::ForeignServer;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::secret::Secret;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no API.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("no certificate can be made for it")]
    Certificate(#[from] authsome_ca::Error),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error("it cannot listen on loopback")]
    Listen(#[source] io::Error),
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// `HTTP/1.1` or `HTTP/2`.
    pub(crate) protocol: &'static str,
    /// The value of `Authorization`, when there was exactly one.
    pub(crate) authorization: Option<String>,
    /// Whether that was the key, and nothing else.
    pub(crate) accepted: bool,
}

/// A server that wants one key. It ends with the value.
pub(crate) struct Api {
    address: SocketAddr,
    authority_pem: String,
    desk: Arc<Desk>,
    _runtime: Runtime,
}

/// What its tasks share.
struct Desk {
    expected: Secret<String>,
    received: Mutex<Vec<Received>>,
}

impl Api {
    /// Starts a server for `host` on an ephemeral port. It offers HTTP/2 and HTTP/1.1, and accepts requests
    /// that carry `key` as their bearer token (RFC 6750 2.1). `now` is the time since the Unix epoch.
    pub(crate) fn start(host: &str, key: &Secret<String>, now: Duration) -> Result<Self, ApiError> {
        let identity = ForeignServer::certify(host, now)?;
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&identity)?));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(ApiError::Listen)?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.map_err(ApiError::Listen)?;
        let address = listener.local_addr().map_err(ApiError::Listen)?;
        let expected = Secret::new(format!("Bearer {}", key.expose()));
        let desk = Arc::new(Desk { expected, received: Mutex::default() });
        runtime.spawn(accept(listener, acceptor, Arc::clone(&desk)));
        Ok(Self { address, authority_pem: identity.authority_pem().to_owned(), desk, _runtime: runtime })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the authority that vouches for it, as PEM.
    pub(crate) fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The requests since this was asked last.
    pub(crate) fn take_received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.desk.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn server_config(identity: &ForeignServer) -> Result<ServerConfig, rustls::Error> {
    let key = PrivateKeyDer::Pkcs8(identity.key().clone_key());
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(serve(socket, acceptor.clone(), Arc::clone(&desk)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(socket: TcpStream, acceptor: TlsAcceptor, desk: Arc<Desk>) {
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await;
    let Ok(Ok(stream)) = handshake else { return };
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| {
        let answer = desk.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let io = TokioIo::new(stream);
    // A connection that breaks off is its client's concern.
    let _ = if h2 {
        http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
}

impl Desk {
    /// The key is never in the answer: whoever asks may be an agent.
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let received = self.judge(request);
        let (status, body) = if received.accepted {
            (StatusCode::OK, r#"{"message":"hello, authenticated agent"}"#)
        } else {
            (StatusCode::UNAUTHORIZED, r#"{"error":"this is not the key"}"#)
        };
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    fn judge<B>(&self, request: &Request<B>) -> Received {
        let mut values = request.headers().get_all(AUTHORIZATION).iter();
        let only = values.next().filter(|_| values.next().is_none());
        let accepted = only.is_some_and(|value| self.expected.matches(value.as_bytes()));
        let authorization = only.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let protocol = if request.version() == Version::HTTP_2 { "HTTP/2" } else { "HTTP/1.1" };
        Received { protocol, authorization, accepted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(values: &[&str]) -> Received {
        let desk = Desk { expected: "Bearer sk-demo-1".into(), received: Mutex::default() };
        let mut request = Request::new(());
        for value in values {
            request.headers_mut().append(AUTHORIZATION, value.parse().unwrap());
        }
        desk.judge(&request)
    }

    #[test]
    fn only_the_key_alone_is_accepted() {
        assert!(judged(&["Bearer sk-demo-1"]).accepted);
        for values in [
            &[][..],
            &["Bearer authsome-proxy-managed"],
            &["sk-demo-1"],
            &["Bearer sk-demo-1", "Bearer sk-demo-1"],
        ] {
            assert!(!judged(values).accepted, "{values:?}");
        }
    }

    #[test]
    fn what_arrived_is_told() {
        assert_eq!(judged(&["Bearer other"]).authorization.as_deref(), Some("Bearer other"));
        assert_eq!(judged(&["Bearer a", "Bearer b"]).authorization, None);
    }
}
