//! HTTP with an authorization server: one request, one answer. https only, verified, no redirects, nothing kept.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use crate::dial::{Dial, DialError};
use crate::origin::Origin;

/// Name resolution, handshake, request and answer together may take this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);
/// No answer of an authorization server is larger, in bytes.
const MAX_BODY: usize = 1 << 20;
const AGENT: &str = concat!("authsome/", env!("CARGO_PKG_VERSION"));

/// Why an authorization server gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    /// The URL is not https, or names no host that a certificate can hold.
    #[error("{0} is no https URL of a named host")]
    Url(String),
    /// No socket could be opened.
    #[error("{origin} cannot be reached")]
    Dial {
        /// Host and port.
        origin: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The TLS handshake failed, or the certificate is not for this host.
    #[error("no secure connection to {origin}")]
    Tls {
        /// Host and port.
        origin: String,
        /// Why.
        source: std::io::Error,
    },
    /// The exchange broke off. Whether the server has acted is not known.
    #[error("{origin} broke the exchange off")]
    Exchange {
        /// Host and port.
        origin: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No complete answer within 15 s. Whether the server has acted is not known.
    #[error("{origin} did not answer within {} seconds", DEADLINE.as_secs())]
    Late {
        /// Host and port.
        origin: String,
    },
    /// An answer of more than 1 MiB.
    #[error("{0} answered with more than {MAX_BODY} bytes")]
    TooLarge(String),
    /// No connection can be made at all: a root certificate or a mapping cannot be read.
    #[error("connections to servers cannot be set up")]
    Setup(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The operating system gave no thread or no event queue.
    #[error("the request could not be started")]
    Start(#[source] std::io::Error),
}

impl EndpointError {
    /// Whether the server may have seen the request, and so acted upon it.
    pub(crate) fn may_have_acted(&self) -> bool {
        matches!(self, Self::Exchange { .. } | Self::Late { .. } | Self::TooLarge(_))
    }
}

/// A request to an authorization server.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Request {
    /// A GET that asks for JSON.
    pub(crate) fn get(url: &str) -> Self {
        let json = (http::header::ACCEPT, HeaderValue::from_static("application/json"));
        Self { method: Method::GET, url: url.to_owned(), headers: vec![json], body: Zeroizing::default() }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url.split('?').next().unwrap_or_default())
    }
}

/// Its answer, whatever the status.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Response {
    /// The text of a header.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} bytes", self.status, self.body.len())
    }
}

/// Talks to authorization servers. Calls block.
pub(crate) trait TokenEndpoint: fmt::Debug + Send + Sync {
    /// Sends one request, once.
    fn send(&self, request: Request) -> Result<Response, EndpointError>;
}

/// Talks to them for real.
#[derive(Debug)]
pub(crate) struct Https {
    dial: Arc<dyn Dial>,
    tls: Arc<ClientConfig>,
}

impl Https {
    pub(crate) fn new(dial: Arc<dyn Dial>, tls: &ClientConfig) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { dial, tls: Arc::new(tls) }
    }

    async fn exchange(&self, request: Request) -> Result<Response, EndpointError> {
        let (origin, target) = take_apart(&request.url)?;
        let stream = self.connect(&origin).await?;
        let broken = |source: hyper::Error| EndpointError::Exchange {
            origin: origin.to_string(),
            source: source.into(),
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(message(request, &origin, target)?).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        driver.abort();
        let body = body.map_err(|source| match source.downcast::<LengthLimitError>() {
            Ok(_) => EndpointError::TooLarge(origin.to_string()),
            Err(source) => EndpointError::Exchange { origin: origin.to_string(), source },
        })?;
        let body = Zeroizing::new(body.to_bytes().to_vec());
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
    }

    async fn connect(
        &self,
        origin: &Origin,
    ) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, EndpointError> {
        let dialled = self.dial.dial(origin).await;
        let socket = dialled.map_err(|source: DialError| EndpointError::Dial {
            origin: origin.to_string(),
            source: source.into(),
        })?;
        let name = origin.name().and_then(|name| ServerName::try_from(name.to_owned()).ok());
        let name = name.ok_or_else(|| EndpointError::Url(origin.to_string()))?;
        let secured = TlsConnector::from(Arc::clone(&self.tls)).connect(name, socket).await;
        secured.map_err(|source| EndpointError::Tls { origin: origin.to_string(), source })
    }
}

impl TokenEndpoint for Https {
    /// On a thread and a runtime of its own, so that it can be called from inside another runtime as well.
    fn send(&self, request: Request) -> Result<Response, EndpointError> {
        let origin = take_apart(&request.url)?.0.to_string();
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(EndpointError::Start)?;
            let answer =
                runtime.block_on(async { tokio::time::timeout(DEADLINE, self.exchange(request)).await });
            // A name that is still being looked up is not waited for.
            runtime.shutdown_background();
            answer.unwrap_or(Err(EndpointError::Late { origin }))
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("token endpoint".into());
            let thread = thread.spawn_scoped(scope, work).map_err(EndpointError::Start)?;
            thread.join().unwrap_or_else(|_| Err(EndpointError::Start(std::io::Error::other("it panicked"))))
        })
    }
}

/// An endpoint that is made when it is first needed: most commands never dial.
pub(crate) struct OnDemand {
    make: Box<dyn Fn() -> Result<Https, SetupCause> + Send + Sync>,
    made: OnceLock<Result<Https, SetupCause>>,
}

/// Why no endpoint could be made.
pub(crate) type SetupCause = Arc<dyn std::error::Error + Send + Sync>;

impl OnDemand {
    pub(crate) fn new(make: impl Fn() -> Result<Https, SetupCause> + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), made: OnceLock::new() }
    }
}

impl fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnDemand")
    }
}

impl TokenEndpoint for OnDemand {
    fn send(&self, request: Request) -> Result<Response, EndpointError> {
        match self.made.get_or_init(&self.make) {
            Ok(https) => https.send(request),
            Err(cause) => Err(EndpointError::Setup(Arc::clone(cause))),
        }
    }
}

/// Origin and target of an https URL.
fn take_apart(url: &str) -> Result<(Origin, Uri), EndpointError> {
    let shown = || EndpointError::Url(url.split(['?', '#']).next().unwrap_or_default().to_owned());
    let uri: Uri = url.parse().map_err(|_| shown())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https")).ok_or_else(shown)?;
    let origin = Origin::with_default_port(authority.as_str(), 443).map_err(|_| shown())?;
    if origin.name().is_none() || origin.is_loopback() {
        return Err(shown());
    }
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).parse();
    Ok((origin, target.map_err(|_| shown())?))
}

fn message(
    request: Request,
    origin: &Origin,
    target: Uri,
) -> Result<http::Request<Full<Bytes>>, EndpointError> {
    let authority = match origin.port() {
        443 => origin.host().to_string(),
        _ => origin.to_string(),
    };
    let mut message = http::Request::builder().method(request.method.clone()).uri(target);
    message = message.header(HOST, authority).header(USER_AGENT, AGENT);
    if request.method != Method::GET {
        message = message.header(CONTENT_LENGTH, request.body.len());
    }
    for (name, value) in request.headers {
        message = message.header(name, value);
    }
    let body = Full::new(Bytes::from_owner(Erased(request.body)));
    message.body(body).map_err(|_| EndpointError::Url(origin.to_string()))
}

/// A body that is wiped when the last handle to it goes.
struct Erased(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Erased {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_of_named_hosts_are_dialled() {
        for url in [
            "http://auth.example.com/token",
            "https://127.0.0.1/token",
            "https://[::1]/token",
            "https://localhost/token",
            "https://user@auth.example.com/token",
            "/token",
            "",
        ] {
            assert!(take_apart(url).is_err(), "{url}");
        }
        let (origin, target) = take_apart("https://Auth.Example.com:8443/a?b=c#d").unwrap();
        assert_eq!(
            (origin.to_string(), target.to_string()),
            ("auth.example.com:8443".into(), "/a?b=c".into())
        );
    }
}
