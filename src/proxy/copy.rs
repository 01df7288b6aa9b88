//! Bytes of a tunnel, both ways, until both sides are done or both were silent for too long.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};

use crate::proxy::Worker;

/// Each direction has a buffer of this size.
const BUFFER: usize = 16 * 1024;
/// A tunnel in which nothing moves for this long is closed.
pub(crate) const IDLE: Duration = Duration::from_secs(60 * 60);

/// Copies until both directions have ended, or the proxy shuts down.
pub(crate) async fn both_ways<A, B>(worker: &Arc<Worker>, mut downstream: A, mut upstream: B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let copying = copy_bidirectional_with_sizes(&mut downstream, &mut upstream, BUFFER, BUFFER);
    tokio::select! {
        ended = copying => {
            if let Err(error) = ended {
                tracing::debug!(%error, "tunnel ended");
            }
        }
        () = worker.closing.cancelled() => {}
    }
}
