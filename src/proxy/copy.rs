//! Bytes of a tunnel, both ways, until both sides are done or nothing has moved for too long.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::proxy::Worker;

#[cfg(target_os = "linux")]
mod splice;

/// Each direction of a copy through this process has a buffer of this size.
const BUFFER: usize = 16 * 1024;
/// How often a tunnel is looked at.
const ROUND: Duration = Duration::from_secs(60);
/// A tunnel in which nothing moved for so many rounds is closed: an hour.
const IDLE_ROUNDS: u32 = 60;
/// The same after one side has ended: ten minutes.
const HALF_CLOSED_ROUNDS: u32 = 10;

/// Joins two TCP sockets, without reading what passes where the kernel can move it.
pub(crate) async fn sockets(worker: &Worker, mut downstream: TcpStream, mut upstream: TcpStream) {
    let flow = Flow::default();
    #[cfg(target_os = "linux")]
    {
        let (client_read, client_write) = downstream.split();
        let (server_read, server_write) = upstream.split();
        let forth = splice::one_way(client_read, server_write, &flow);
        let back = splice::one_way(server_read, client_write, &flow);
        until_done(worker, &flow, forth, back).await;
    }
    #[cfg(not(target_os = "linux"))]
    streams(worker, downstream, upstream).await;
}

/// Joins any two streams.
pub(crate) async fn streams<A, B>(worker: &Worker, downstream: A, upstream: B)
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let flow = Flow::default();
    let (client_read, client_write) = tokio::io::split(downstream);
    let (server_read, server_write) = tokio::io::split(upstream);
    let forth = one_way(client_read, server_write, &flow);
    let back = one_way(server_read, client_write, &flow);
    until_done(worker, &flow, forth, back).await;
}

/// What moves in a tunnel.
#[derive(Default)]
struct Flow {
    bytes: AtomicU64,
    half_closed: AtomicBool,
}

impl Flow {
    fn moved(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns when nothing moved for an hour, or for ten minutes after one side had ended.
    async fn stalled(&self) {
        let (mut seen, mut rounds) = (0, 0);
        loop {
            tokio::time::sleep(ROUND).await;
            let bytes = self.bytes.load(Ordering::Relaxed);
            rounds = if bytes == seen { rounds + 1 } else { 0 };
            seen = bytes;
            let half_closed = self.half_closed.load(Ordering::Relaxed);
            if rounds >= if half_closed { HALF_CLOSED_ROUNDS } else { IDLE_ROUNDS } {
                return;
            }
        }
    }
}

async fn until_done(
    worker: &Worker,
    flow: &Flow,
    forth: impl Future<Output = io::Result<()>>,
    back: impl Future<Output = io::Result<()>>,
) {
    tokio::select! {
        ended = async { tokio::try_join!(forth, back) } => {
            if let Err(error) = ended {
                tracing::debug!(%error, "tunnel ended");
            }
        }
        () = flow.stalled() => tracing::debug!("tunnel closed: nothing moved"),
        () = worker.closing.cancelled() => {}
    }
}

/// Copies one direction to its end, and passes the end on.
async fn one_way<R, W>(mut from: R, mut to: W, flow: &Flow) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            flow.half_closed.store(true, Ordering::Relaxed);
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        to.flush().await?;
        flow.moved(length);
    }
}
