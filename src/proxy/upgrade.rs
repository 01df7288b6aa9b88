//! WebSocket over HTTP/1 (RFC 6455): switch both sides, then copy. No other upgrade is spoken.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use crate::proxy::trail::Trail;
use crate::proxy::upstream::Switched;
use crate::proxy::{Worker, copy};

/// Joins the two sockets once the 101 has been written to the client. What the server sent ahead goes first.
pub(crate) fn join(worker: &Arc<Worker>, client: OnUpgrade, server: Option<Switched>, trail: Trail) {
    let worker = Arc::clone(worker);
    worker.tasks.clone().spawn(async move {
        let joined = match (client.await, server) {
            (Ok(client), Some((server, ahead))) => {
                let mut client = TokioIo::new(client);
                let written = client.write_all(&ahead).await.is_ok() && client.flush().await.is_ok();
                if written {
                    copy::streams(&worker, client, server).await;
                }
                written
            }
            (Ok(_), None) => false,
            (Err(error), _) => {
                tracing::debug!(%error, "upgrade failed");
                false
            }
        };
        trail.ended(0, 0, joined);
    });
}
