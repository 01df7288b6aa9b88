//! The client's side of TLS: a leaf for the tunnel's one name, made when it is first needed.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use authsome_ca::Ca;
use bytes::{Buf, BytesMut};
use hashbrown::HashMap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{CipherSuite, NamedGroup, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;
use crate::origin::Origin;
use crate::proxy::pace::Pace;
use crate::proxy::stream::Patient;
use crate::proxy::upstream::Protocol;

/// So many hosts keep a leaf; the oldest goes first.
const MAX_LEAVES: usize = 1024;
/// A fatal `unrecognized_name` (RFC 8446 6, RFC 6066 3) in a record of its own.
const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70];

/// A downstream socket with TLS ended.
pub(crate) type Secured = Patient;

/// Why there is no leaf.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeafError {
    #[error("no certificate could be issued")]
    Issue(#[from] authsome_ca::Error),
    #[error("the certificate could not be used")]
    Use(#[from] rustls::Error),
}

/// Leaves of one CA with their TLS configurations: one of each a host, bounded.
pub(crate) struct Leaves {
    ca: Arc<Ca>,
    key: Arc<dyn SigningKey>,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    leaves: HashMap<Arc<str>, Minted>,
    order: VecDeque<Arc<str>>,
}

struct Minted {
    renew_at: Duration,
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

impl Leaves {
    pub(crate) fn new(ca: Arc<Ca>, clock: Arc<dyn Clock>) -> Result<Self, LeafError> {
        let key = PrivateKeyDer::from(ca.leaf_key().clone_key());
        let key = aws_lc_rs::sign::any_ecdsa_type(&key)?;
        Ok(Self { ca, key, clock, cache: Mutex::default() })
    }

    /// Whether the CA may issue for a host.
    pub(crate) fn covers(&self, origin: &Origin) -> bool {
        origin.name().is_some_and(|name| self.ca.covers(name))
    }

    /// The configuration for a host: a leaf minted now, or one that is not past its half-life. The lock is held
    /// while minting (40 µs), so that a host has one leaf.
    pub(crate) fn config(&self, origin: &Origin, protocol: Protocol) -> Result<Arc<ServerConfig>, LeafError> {
        let name: Arc<str> = origin.name().unwrap_or_default().into();
        let now = self.clock.since_epoch();
        let mut cache = self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(minted) = cache.leaves.get(&name).filter(|minted| now < minted.renew_at) {
            return Ok(minted.config(protocol));
        }
        let minted = self.mint(&name, now)?;
        let config = minted.config(protocol);
        cache.insert(name, minted);
        Ok(config)
    }

    fn mint(&self, name: &str, now: Duration) -> Result<Minted, LeafError> {
        let leaf = self.ca.issue(name, now)?;
        let certified = CertifiedKey::new(vec![leaf.certificate.clone()], Arc::clone(&self.key));
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let ticketer = aws_lc_rs::Ticketer::new()?;
        let provider = Arc::new(provider());
        let config = |protocol: Protocol| {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()?;
            let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::clone(&resolver) as _);
            config.alpn_protocols = vec![protocol.alpn().to_vec()];
            config.ignore_client_order = true;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.ticketer = Arc::clone(&ticketer);
            config.send_tls13_tickets = 1;
            Ok::<_, rustls::Error>(Arc::new(config))
        };
        let renew_at = leaf.half_life();
        Ok(Minted { renew_at, http1: config(Protocol::Http1)?, http2: config(Protocol::Http2)? })
    }
}

/// The cryptography of the client's side. These bytes do not leave the machine, where nobody can keep them for a
/// quantum computer: no ML-KEM, and SHA-256 before SHA-384, which is half of a handshake's cost. The server's side has
/// the library's own preferences.
fn provider() -> CryptoProvider {
    let library = aws_lc_rs::default_provider();
    let mut cipher_suites = library.cipher_suites.clone();
    cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let kx_groups = library.kx_groups.iter().filter(|group| group.name() != NamedGroup::X25519MLKEM768);
    CryptoProvider { kx_groups: kx_groups.copied().collect(), cipher_suites, ..library }
}

impl Cache {
    fn insert(&mut self, name: Arc<str>, minted: Minted) {
        if self.leaves.insert(Arc::clone(&name), minted).is_none() {
            self.order.push_back(name);
        }
        if self.order.len() > MAX_LEAVES
            && let Some(oldest) = self.order.pop_front()
        {
            self.leaves.remove(&oldest);
        }
    }
}

impl Minted {
    fn config(&self, protocol: Protocol) -> Arc<ServerConfig> {
        Arc::clone(match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        })
    }
}

impl std::fmt::Debug for Leaves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Leaves")
    }
}

/// Completes a handshake.
pub(crate) async fn accept(config: Arc<ServerConfig>, stream: Prefixed) -> io::Result<Secured> {
    TlsAcceptor::from(config).accept(stream).await.map(Patient::new)
}

/// Tells the client that this tunnel does not lead to the name it asked for.
pub(crate) async fn refuse_name(socket: &mut TcpStream) {
    if socket.write_all(&UNRECOGNIZED_NAME).await.is_ok() {
        let _ = socket.shutdown().await;
    }
}

/// Says in the log what a failed handshake means to the user.
pub(crate) fn explain_failure(origin: &Origin, error: &io::Error) {
    use rustls::AlertDescription as Alert;
    let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match alert {
        Some(rustls::Error::AlertReceived(
            Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown,
        )) => tracing::warn!(%origin, "the client does not trust this run's CA, or pins its certificates"),
        _ => tracing::debug!(%origin, %error, "TLS handshake with the client failed"),
    }
}

/// A client's socket, with bytes that were read from it before.
#[derive(Debug)]
pub(crate) struct Prefixed {
    prefix: BytesMut,
    socket: TcpStream,
    pace: Arc<Pace>,
}

impl Prefixed {
    pub(crate) fn new(prefix: BytesMut, socket: TcpStream, pace: Arc<Pace>) -> Self {
        Self { prefix, socket, pace }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            let before = buf.filled().len();
            let read = Pin::new(&mut self.socket).poll_read(cx, buf);
            if buf.filled().len() > before {
                self.pace.heard();
            }
            return read;
        }
        let length = buf.remaining().min(self.prefix.len());
        buf.put_slice(&self.prefix[..length]);
        self.prefix.advance(length);
        if self.prefix.is_empty() {
            self.prefix = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.pace.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.pace.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
