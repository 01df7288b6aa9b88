//! WebSocket over HTTP/1 (RFC 6455): switch both sides, then copy. No other upgrade is spoken.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::proxy::trail::Trail;
use crate::proxy::{Worker, copy};

/// Joins the two sockets once the 101 has been written to the client.
pub(crate) fn join(worker: &Arc<Worker>, client: OnUpgrade, server: OnUpgrade, trail: Trail) {
    let worker = Arc::clone(worker);
    worker.tasks.clone().spawn(async move {
        let joined = tokio::try_join!(client, server);
        let complete = joined.is_ok();
        match joined {
            Ok((client, server)) => {
                copy::streams(&worker, TokioIo::new(client), TokioIo::new(server)).await;
            }
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
        trail.ended(0, 0, complete);
    });
}
