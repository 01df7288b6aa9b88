//! The floor: CONNECT, then TLS terminated and encrypted again byte for byte, with no HTTP inside the tunnel.
//!
//! No proxy that reads what it forwards can do with less on the same TLS library. Hosts that it was not told to intercept
//! are copied unread.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use rustls::ServerConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::authority::Authority;
use crate::tls::{self, Protocol};
use crate::{cores, process};

/// Longest CONNECT head that is read, in bytes.
const HEAD: usize = 4096;

/// `authsome-bench relay`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The one protocol offered on both sides
    #[arg(long)]
    protocol: Protocol,
    /// Where every tunnel leads, whatever host it names
    #[arg(long)]
    upstream: SocketAddr,
    /// The CA that upstream certificates must chain to
    #[arg(long)]
    upstream_ca: PathBuf,
    /// Where to write the certificate of the relay's own CA
    #[arg(long)]
    ca_out: PathBuf,
    /// One runtime a core instead of one runtime for all
    #[arg(long)]
    per_core: bool,
    /// A host to intercept; a leading dot takes in every host under it
    #[arg(long)]
    intercept: Vec<String>,
}

struct Relay {
    options: Options,
    authority: Authority,
    connector: TlsConnector,
    leaves: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

/// Serves until killed; prints one JSON line with its address when it accepts.
pub(crate) fn serve(options: Options) -> Result<()> {
    let per_core = options.per_core;
    let authority = Authority::generate("authsome-bench relay CA")?;
    std::fs::write(&options.ca_out, authority.pem()).context("cannot write the CA's certificate")?;
    let roots = std::fs::read(&options.upstream_ca).context("cannot read the upstream CA")?;
    let connector = TlsConnector::from(tls::client(&roots, options.protocol, true)?);
    let relay = Arc::new(Relay { options, authority, connector, leaves: Mutex::default() });
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen")?;
    process::announce(listener.local_addr()?);
    let handler = move |socket| {
        let relay = Arc::clone(&relay);
        // A tunnel that breaks is seen by its client.
        async move { drop(relay.tunnel(socket).await) }
    };
    if per_core { cores::serve(&listener, handler) } else { cores::serve_on_one_runtime(listener, handler) }
}

impl Relay {
    async fn tunnel(&self, mut downstream: TcpStream) -> Result<()> {
        let host = Box::pin(connect_target(&mut downstream)).await?;
        let mut upstream = TcpStream::connect(self.options.upstream).await?;
        upstream.set_nodelay(true)?;
        downstream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        if !self.intercepts(&host) {
            copy_bidirectional(&mut downstream, &mut upstream).await?;
            return Ok(());
        }
        let leaf = TlsAcceptor::from(self.leaf(&host)?);
        let name = ServerName::try_from(host)?;
        let mut downstream = Box::new(Box::pin(leaf.accept(downstream)).await?);
        let mut upstream = Box::new(Box::pin(self.connector.connect(name, upstream)).await?);
        copy_bidirectional(&mut downstream, &mut upstream).await?;
        Ok(())
    }

    fn intercepts(&self, host: &str) -> bool {
        self.options
            .intercept
            .iter()
            .any(|name| host == name || (name.starts_with('.') && host.ends_with(name.as_str())))
    }

    fn leaf(&self, host: &str) -> Result<Arc<ServerConfig>> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = leaves.get(host) {
            return Ok(Arc::clone(leaf));
        }
        let leaf = Arc::new(self.authority.server_config(&[host], &[self.options.protocol.alpn()])?);
        leaves.insert(host.to_owned(), Arc::clone(&leaf));
        Ok(leaf)
    }
}

/// Reads the head of a CONNECT and gives its host, without the port.
async fn connect_target(socket: &mut TcpStream) -> Result<String> {
    let mut head = [0; HEAD];
    let mut filled = 0;
    while !head[..filled].ends_with(b"\r\n\r\n") {
        let read = socket.read(&mut head[filled..]).await?;
        ensure!(read > 0, "the head ended early or is too long");
        filled += read;
    }
    let text = std::str::from_utf8(&head[..filled])?;
    let authority =
        text.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).context("no CONNECT")?;
    Ok(authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_owned())
}
