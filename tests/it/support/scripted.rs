//! A server that speaks bytes, for answers that no HTTP library would give.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::wire::Wire;
use super::{soon, tls};

/// The server; it ends with the test's runtime.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    connections: watch::Receiver<usize>,
}

impl Scripted {
    /// Runs the script for each TLS connection, which gets its number from 0.
    pub(crate) async fn tls<F, R>(identity: Arc<CertifiedKey>, alpn: &[&str], script: F) -> Self
    where
        F: Fn(usize, Wire) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let acceptor = tokio_rustls::TlsAcceptor::from(tls::server(&identity, alpn));
        let script = Arc::new(script);
        Self::tcp(move |number, socket| {
            let (acceptor, script) = (acceptor.clone(), script.clone());
            async move {
                if let Ok(stream) = acceptor.accept(socket).await {
                    script(number, Wire::new(stream)).await;
                }
            }
        })
        .await
    }

    /// Runs the script for each TCP connection.
    pub(crate) async fn tcp<F, R>(script: F) -> Self
    where
        F: Fn(usize, TcpStream) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                let number = *sender.borrow();
                sender.send_replace(number + 1);
                tokio::spawn(script(number, socket));
            }
        });
        Self { address, connections }
    }

    /// TCP connections accepted.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// Waits until it was dialled so often.
    pub(crate) async fn dialled(&self, times: usize) {
        let mut connections = self.connections.clone();
        soon("the server to be dialled", connections.wait_for(|count| *count >= times)).await.unwrap();
    }
}
