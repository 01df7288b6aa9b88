//! The smallest HTTPS client: one GET through a proxy.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HOST, InvalidHeaderValue};
use http::uri::Uri;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::dial::{Dial, DialError, Dialer, UpstreamProxies, UpstreamProxyError};
use crate::origin::{Origin, ParseError};

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 64 * 1024;

/// Which stage of a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the proxy variable cannot be used")]
    Proxy(#[from] UpstreamProxyError),
    #[error("the URL has no authority")]
    Url,
    #[error("the URL's authority is not valid")]
    Authority(#[from] ParseError),
    #[error("the URL's host is no name")]
    Name(#[from] InvalidDnsNameError),
    #[error("the roots hold no certificate")]
    Roots,
    #[error("the credential is no header value")]
    Credential(#[from] InvalidHeaderValue),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error("no tunnel was opened")]
    Tunnel(#[from] DialError),
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the exchange failed")]
    Exchange(#[from] hyper::Error),
    #[error("the answer broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} seconds", TIMEOUT.as_secs())]
    Timeout,
    #[error("no runtime can be started")]
    Runtime(#[source] io::Error),
}

/// What a request needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// An `https` URL.
    pub(crate) url: &'a Uri,
    /// `http://user:password@host:port`
    pub(crate) proxy: Option<&'a str>,
    /// The certificates that are trusted, as PEM, and no others.
    pub(crate) roots: &'a [u8],
    /// The value of `Authorization`.
    pub(crate) authorization: &'a str,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Ask<'_> {
    /// Sends the request and waits for its answer, 10 s at most.
    pub(crate) fn send(&self) -> Result<Answer, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ClientError::Runtime)?;
        let answer = runtime.block_on(async { tokio::time::timeout(TIMEOUT, self.exchange()).await });
        answer.map_err(|_| ClientError::Timeout)?
    }

    async fn exchange(&self) -> Result<Answer, ClientError> {
        let authority = self.url.authority().ok_or(ClientError::Url)?;
        let origin = Origin::with_default_port(authority.as_str(), 443)?;
        let stream = self.connect(&origin).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = self.url.path().parse().map_err(|_| ClientError::Url)?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
        headers.insert(AUTHORIZATION, HeaderValue::from_str(self.authorization)?);
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await.map_err(ClientError::Body)?;
        Ok(Answer { status, body: body.to_bytes() })
    }

    async fn connect(&self, origin: &Origin) -> Result<TlsStream<TcpStream>, ClientError> {
        let proxies = UpstreamProxies::new(self.proxy, None)?;
        let no_listener = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket = Dialer::new(no_listener, Vec::new(), proxies).dial(origin).await?;
        let name = ServerName::try_from(origin.name().unwrap_or_default().to_owned())?;
        let connector = TlsConnector::from(Arc::new(config(self.roots)?));
        connector.connect(name, socket).await.map_err(ClientError::Handshake)
    }
}

fn config(roots: &[u8]) -> Result<ClientConfig, ClientError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(roots).filter_map(Result::ok));
    if store.is_empty() {
        return Err(ClientError::Roots);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let mut config =
        builder.with_safe_default_protocol_versions()?.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
