//! A connection on which a test says exactly what it wants: bytes out, HTTP/1.1 answers in.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::answer::Answer;
use super::{soon, tls};

/// TCP, or TLS over whatever.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection, with what was read of it and not yet looked at.
pub(crate) struct Wire {
    io: Box<dyn Stream>,
    buffer: Vec<u8>,
    /// What TLS agreed on, `None` without ALPN.
    pub(crate) alpn: Option<String>,
    /// The server's certificates, the leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

/// How a client begins TLS.
#[derive(Clone)]
pub(crate) struct Hello<'a> {
    /// The name in SNI and the name that the certificate must have.
    pub(crate) name: &'a str,
    /// Whether SNI is sent at all.
    pub(crate) send_name: bool,
    pub(crate) alpn: &'a [&'a str],
}

impl<'a> Hello<'a> {
    pub(crate) fn to(name: &'a str, alpn: &'a [&'a str]) -> Self {
        Self { name, send_name: true, alpn }
    }

    pub(crate) fn without_name(self) -> Self {
        Self { send_name: false, ..self }
    }
}

impl Wire {
    pub(crate) fn new(io: impl Stream + 'static) -> Self {
        Self { io: Box::new(io), buffer: Vec::new(), alpn: None, chain: Vec::new() }
    }

    /// Starts TLS on it; the error is the server's alert or what the client found wrong.
    pub(crate) async fn tls(self, roots: &RootCertStore, hello: &Hello<'_>) -> io::Result<Self> {
        self.tls_with(tls::client(roots, hello.alpn, hello.send_name), hello.name).await
    }

    pub(crate) async fn tls_with(self, config: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connecting = tokio_rustls::TlsConnector::from(config).connect(name, self.into_stream());
        let stream = soon("TLS handshake", connecting).await?;
        let session = stream.get_ref().1;
        let alpn = session.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap());
        let chain =
            session.peer_certificates().unwrap_or_default().iter().map(|der| der.clone().into_owned());
        let chain = chain.collect();
        Ok(Self { io: Box::new(stream), buffer: Vec::new(), alpn, chain })
    }

    /// The bare stream; nothing may have been read ahead.
    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        assert!(
            self.buffer.is_empty(),
            "bytes before their time: {:?}",
            String::from_utf8_lossy(&self.buffer)
        );
        self.io
    }

    /// Sends; a peer that is gone is seen when reading.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon("a peer that reads", self.io.write_all(bytes.as_ref())).await;
        let _ = soon("a peer that reads", self.io.flush()).await;
    }

    /// Ends our direction only.
    pub(crate) async fn finish(&mut self) {
        let _ = soon("shutdown", self.io.shutdown()).await;
    }

    /// The answer to any method but HEAD and CONNECT.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        answer.body = self.body(&answer).await;
        answer
    }

    /// Sends a request and takes its answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        self.answer().await
    }

    /// A head without what follows it.
    pub(crate) async fn head(&mut self) -> Answer {
        loop {
            if let Some((length, answer)) = parse(&self.buffer) {
                self.buffer.drain(..length);
                return answer;
            }
            assert!(self.fill("a response head").await, "closed in a head: {}", self.pending());
        }
    }

    /// Bytes up to and with a mark.
    pub(crate) async fn until(&mut self, mark: &str) -> Vec<u8> {
        loop {
            if let Some(at) = find(&self.buffer, mark.as_bytes()) {
                return self.buffer.drain(..at + mark.len()).collect();
            }
            assert!(self.fill(mark).await, "closed before {mark:?}: {}", self.pending());
        }
    }

    /// So many bytes.
    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.fill("body bytes").await, "closed {} of {length} bytes on", self.buffer.len());
        }
        self.buffer.drain(..length).collect()
    }

    /// Everything until the peer closes or resets.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill("the end of the connection").await {}
        std::mem::take(&mut self.buffer)
    }

    /// That the peer closes and says nothing more.
    pub(crate) async fn expect_end(&mut self) {
        let rest = self.rest().await;
        assert!(rest.is_empty(), "unexpected: {}", String::from_utf8_lossy(&rest));
    }

    /// Reads once; `false` at the end.
    async fn fill(&mut self, what: &str) -> bool {
        let read = soon(what, self.io.read_buf(&mut self.buffer)).await;
        matches!(read, Ok(length) if length > 0)
    }

    async fn body(&mut self, head: &Answer) -> Bytes {
        if head.status.is_informational() || matches!(head.status.as_u16(), 204 | 304) {
            return Bytes::new();
        }
        if head.header("transfer-encoding") == "chunked" {
            return self.chunks().await.into();
        }
        match head.headers.get("content-length") {
            Some(length) => {
                let length = length.to_str().unwrap().parse().unwrap();
                self.exactly(length).await.into()
            }
            None => self.rest().await.into(),
        }
    }

    /// A chunked body without its trailers, which must be absent.
    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await {
            body.extend(chunk);
        }
        assert_eq!(self.until("\r\n").await, b"\r\n", "trailers that the test does not expect");
        body
    }

    /// The next chunk, `None` for the last one, whose trailers are left unread.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.until("\r\n").await).unwrap();
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        if length == 0 {
            return None;
        }
        let mut chunk = self.exactly(length + 2).await;
        chunk.truncate(length);
        Some(chunk)
    }

    fn pending(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

fn parse(bytes: &[u8]) -> Option<(usize, Answer)> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes).expect("an HTTP/1.1 response") {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return None,
    };
    let mut map = HeaderMap::new();
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_bytes(header.value).unwrap());
    }
    let status = StatusCode::from_u16(response.code.unwrap()).unwrap();
    Some((length, Answer { status, headers: map, body: Bytes::new(), trailers: HeaderMap::new() }))
}

/// Where a text begins in another.
pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
