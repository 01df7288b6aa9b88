//! Clients of the proxy: raw HTTP/1.1 and HTTP/2 through a tunnel, or anything else in its place.

use std::net::SocketAddr;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use tokio::net::TcpStream;

use super::answer::Answer;
use super::soon;
use super::streams::{AnyBody, full};
use super::tls;
use super::wire::{Hello, Wire};

/// Both versions of HTTP, for tests of what must hold in either.
pub(crate) const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// Somebody who knows the proxy, its token and its CA.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) proxy: SocketAddr,
    pub(crate) token: String,
    pub(crate) roots: RootCertStore,
}

/// A request for either version of HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    target: String,
    authority: Option<String>,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Ask {
    pub(crate) fn get(target: &str) -> Self {
        Self::new(Method::GET, target)
    }

    pub(crate) fn new(method: Method, target: &str) -> Self {
        Self { method, target: target.into(), authority: None, headers: Vec::new(), body: Bytes::new() }
    }

    /// `Host` or `:authority`, if it is not the tunnel's.
    pub(crate) fn authority(mut self, authority: &str) -> Self {
        self.authority = Some(authority.into());
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// As HTTP/1.1 says it.
    pub(crate) fn bytes(&self, tunnel: &str) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        text += &format!("Host: {}\r\n", self.authority_in(tunnel));
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        [text.as_bytes(), b"\r\n", &self.body].concat()
    }

    fn request(&self, tunnel: &str) -> Request<AnyBody> {
        let uri = format!("https://{}{}", self.authority_in(tunnel), self.target);
        let mut request = Request::builder().method(&self.method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(full(self.body.clone())).unwrap()
    }

    fn authority_in<'a>(&'a self, tunnel: &'a str) -> &'a str {
        self.authority.as_deref().unwrap_or_else(|| tunnel.strip_suffix(":443").unwrap_or(tunnel))
    }
}

impl Client {
    /// A bare connection to the proxy.
    pub(crate) async fn open(&self) -> Wire {
        let socket = soon("the proxy to accept", TcpStream::connect(self.proxy)).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Wire::new(socket)
    }

    /// `Proxy-Authorization: …` with its line end.
    pub(crate) fn authorization(&self) -> String {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("run:{}", self.token));
        format!("Proxy-Authorization: Basic {pair}\r\n")
    }

    /// A CONNECT and its answer, whatever it is.
    pub(crate) async fn connect(&self, authority: &str) -> (Answer, Wire) {
        let mut wire = self.open().await;
        let head =
            format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{}\r\n", self.authorization());
        wire.send(head).await;
        let mut answer = wire.head().await;
        if answer.status.as_u16() != 200 {
            let length = answer.header("content-length").parse().unwrap_or(0);
            answer.body = wire.exactly(length).await.into();
        }
        (answer, wire)
    }

    /// A tunnel that was granted.
    pub(crate) async fn tunnel(&self, authority: &str) -> Wire {
        let (answer, wire) = self.connect(authority).await;
        assert_eq!(answer.status.as_u16(), 200, "{authority}: {answer:?}");
        wire
    }

    /// TLS in a tunnel, with the tunnel's name as SNI.
    pub(crate) async fn secure(&self, authority: &str, alpn: &[&str]) -> Wire {
        let name = authority.rsplit_once(':').unwrap().0;
        let tunnel = self.tunnel(authority).await;
        tunnel.tls(&self.roots, &Hello::to(name, alpn)).await.unwrap()
    }

    /// HTTP/1.1 in a tunnel.
    pub(crate) async fn h1(&self, authority: &str) -> Wire {
        self.secure(authority, tls::H1).await
    }

    /// HTTP/2 in a tunnel.
    pub(crate) async fn h2(&self, authority: &str) -> H2 {
        let wire = self.secure(authority, tls::H2).await;
        assert_eq!(wire.alpn.as_deref(), Some("h2"));
        H2::over(wire).await
    }

    /// The certificates that a client of HTTP/2 is shown.
    pub(crate) async fn h2_chain(&self, authority: &str) -> Vec<rustls::pki_types::CertificateDer<'static>> {
        self.secure(authority, tls::H2).await.chain
    }

    /// One request in a tunnel of its own.
    pub(crate) async fn ask(&self, version: Version, tunnel: &str, ask: &Ask) -> Answer {
        match version {
            Version::HTTP_2 => self.h2(tunnel).await.ask(tunnel, ask).await,
            _ if ask.method == Method::HEAD => {
                let mut wire = self.h1(tunnel).await;
                wire.send(ask.bytes(tunnel)).await;
                wire.head().await
            }
            _ => self.h1(tunnel).await.ask(ask.bytes(tunnel)).await,
        }
    }
}

/// An HTTP/2 connection in a tunnel.
#[derive(Clone)]
pub(crate) struct H2 {
    sender: http2::SendRequest<AnyBody>,
}

impl H2 {
    pub(crate) async fn over(wire: Wire) -> Self {
        let builder = http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(TokioIo::new(wire.into_stream())).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    pub(crate) async fn send(&mut self, request: Request<AnyBody>) -> hyper::Result<Response<Incoming>> {
        soon("an h2 response", self.sender.send_request(request)).await
    }

    pub(crate) async fn ask(&mut self, tunnel: &str, ask: &Ask) -> Answer {
        let response = self.send(ask.request(tunnel)).await.unwrap();
        collect(response).await
    }
}

/// Reads a response to its end.
pub(crate) async fn collect(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = soon("the end of a body", body.collect()).await.unwrap();
    let trailers: HeaderMap = body.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: body.to_bytes(), trailers }
}
