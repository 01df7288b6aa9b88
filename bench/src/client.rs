//! The agent's side of a lane: CONNECT where there is a proxy, TLS, then HTTP/1.1 or HTTP/2.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::body::Payload;
use crate::lane::{Entry, Lane};
use crate::ledger::{HEADER, Slot};
use crate::origin;
use crate::tls::Protocol;

/// What an agent's environment holds in the place of the key.
const PLACEHOLDER: &str = "Bearer authsome-proxy-managed";
const UPLOAD: &str = "/upload";

/// A lane, a protocol and a host: all that a connection needs.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) lane: Arc<Lane>,
    pub(crate) protocol: Protocol,
    pub(crate) host: String,
}

/// One HTTP connection through its own tunnel; an HTTP/2 one can be cloned for concurrent streams.
pub(crate) struct Connection {
    sender: Sender,
    target: Target,
    /// How its requests are counted; nothing: not at all.
    slot: Option<Slot>,
}

enum Sender {
    H1(http1::SendRequest<Payload>),
    H2(http2::SendRequest<Payload>),
}

impl Target {
    pub(crate) fn new(lane: &Arc<Lane>, protocol: Protocol, host: &str) -> Self {
        Self { lane: Arc::clone(lane), protocol, host: host.to_owned() }
    }

    /// Opens a tunnel and the HTTP connection in it.
    pub(crate) async fn open(&self) -> Result<Connection> {
        self.dial().await.with_context(|| format!("{} to {}", self.lane.name.text(), self.host))
    }

    async fn dial(&self) -> Result<Connection> {
        let entry = self.lane.entry(self.protocol);
        let address = entry.map_or(self.lane.origin, |entry| entry.address);
        let mut socket = TcpStream::connect(address).await.context("no TCP connection")?;
        socket.set_nodelay(true)?;
        if let Some(entry) = entry {
            connect(&mut socket, &self.host, entry).await.context("no tunnel")?;
        }
        let connector = TlsConnector::from(self.lane.tls(self.protocol));
        let name = ServerName::try_from(self.host.clone())?;
        let stream = Box::new(connector.connect(name, socket).await.context("no TLS")?);
        let spoken = stream.get_ref().1.alpn_protocol();
        ensure!(spoken == Some(self.protocol.alpn()), "another protocol was chosen: {spoken:?}");
        let sender = match self.protocol {
            Protocol::H1 => {
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Sender::H1(sender)
            }
            Protocol::H2 => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Sender::H2(sender)
            }
        };
        let slot = Some(Slot::new(self.lane.name, self.host == origin::PASSED));
        Ok(Connection { sender, target: self.clone(), slot })
    }
}

impl Connection {
    /// Another handle on the same HTTP/2 connection; nothing for HTTP/1.1.
    pub(crate) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::H1(_) => None,
            Sender::H2(sender) => Some(Self {
                sender: Sender::H2(sender.clone()),
                target: self.target.clone(),
                slot: self.slot,
            }),
        }
    }

    /// A GET, its whole answer read; gives the length of the body.
    pub(crate) async fn get(&mut self, path: &str) -> Result<u64> {
        let mut body = self.stream(path).await?;
        let mut bytes = 0;
        while let Some(data) = next(&mut body).await? {
            bytes += data.len() as u64;
        }
        Ok(bytes)
    }

    /// A GET whose body the caller reads with [`next`].
    pub(crate) async fn stream(&mut self, path: &str) -> Result<Incoming> {
        Ok(self.send(Method::GET, path, Payload::empty()).await?.into_body())
    }

    /// A GET that is not counted, of which the caller reads the body with [`next`].
    pub(crate) async fn ask(&mut self, path: &str) -> Result<Incoming> {
        self.slot = None;
        self.stream(path).await
    }

    /// Whether the other side has not closed it.
    pub(crate) fn is_open(&self) -> bool {
        match &self.sender {
            Sender::H1(sender) => !sender.is_closed(),
            Sender::H2(sender) => !sender.is_closed(),
        }
    }

    /// A POST of so many bytes.
    pub(crate) async fn upload(&mut self, size: u64) -> Result<()> {
        self.send(Method::POST, UPLOAD, Payload::Zeros(size)).await.map(drop)
    }

    async fn send(&mut self, method: Method, path: &str, body: Payload) -> Result<Response<Incoming>> {
        let host = &self.target.host;
        let mut request = Request::builder().method(method).header("authorization", PLACEHOLDER);
        if let Some(slot) = self.slot {
            request = request.header(HEADER, slot.digit());
        }
        self.count();
        let response = match &mut self.sender {
            Sender::H1(sender) => {
                let request = request.uri(path).header("host", host).body(body)?;
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::H2(sender) => {
                let request = request.uri(format!("https://{host}{path}")).body(body)?;
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        if !response.status().is_success() {
            bail!("{} {path} through {}: {}", host, self.target.lane.name.text(), refusal(response).await);
        }
        Ok(response)
    }

    fn count(&self) {
        if let Some(slot) = self.slot {
            self.target.lane.ledger.add(slot, false);
        }
    }
}

/// The next piece of a body, never an empty one; nothing at its end.
pub(crate) async fn next(body: &mut Incoming) -> Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

async fn refusal(response: Response<Incoming>) -> String {
    let status = response.status();
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    format!("{status} {}", String::from_utf8_lossy(&body))
}

async fn connect(socket: &mut TcpStream, host: &str, entry: &Entry) -> Result<()> {
    let authority = format!("{host}:{}", entry.port);
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(value) = &entry.authorization {
        head.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).await?;
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        ensure!(answer.len() < 8192, "the answer's head is too long");
        ensure!(socket.read_buf(&mut answer).await? > 0, "closed: {}", String::from_utf8_lossy(&answer));
        if answer.get(9..12).is_some_and(|status| status != b"200") {
            bail!("refused: {}", String::from_utf8_lossy(&answer).trim_end());
        }
    }
    Ok(())
}
