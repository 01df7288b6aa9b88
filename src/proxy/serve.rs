//! HTTP on a downstream socket, by hyper.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::proxy::error::Error;
use crate::proxy::exchange::exchange;
use crate::proxy::tls::Secured;
use crate::proxy::tunnel::Terminated;
use crate::proxy::upstream::{Protocol, TaskExecutor};

const READ_BUFFER: usize = 128 * 1024;
const MAX_HEAD: usize = 64 * 1024;
const MAX_STREAMS: u32 = 128;
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Wide open: many small unread frames would else end in a GOAWAY; the stream windows bound the memory.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// Answers the requests inside a terminated tunnel until the client goes away or the proxy shuts down.
pub(crate) async fn http(tunnel: Arc<Terminated>, protocol: Protocol, stream: Secured) {
    let (tasks, ending) = (tunnel.worker.tasks.clone(), tunnel.ending.clone());
    let pace = Arc::clone(&tunnel.pace);
    let service = service_fn(move |request| {
        let exchange = exchange(Arc::clone(&tunnel), request);
        async move { Ok::<_, Infallible>(exchange.await) }
    });
    let io = TokioIo::new(stream);
    let ended = match protocol {
        Protocol::Http1 => {
            let mut connection = pin!(http1_builder().serve_connection(io, service).with_upgrades());
            let (mut ran_out, mut told) = (pin!(pace.ran_out()), false);
            loop {
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => break ended,
                    () = ending.cancelled(), if !told => {
                        told = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    () = ran_out.as_mut() => return tracing::debug!("a client was given up"),
                }
            }
        }
        Protocol::Http2 => {
            let builder = http2_builder(TaskExecutor(tasks));
            let mut connection = pin!(builder.serve_connection(io, service));
            tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                () = ending.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// HTTP/1 towards clients, inside and outside of tunnels, without its time limits.
pub(crate) fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_buf_size(READ_BUFFER)
        .max_header_size(MAX_HEAD)
        .auto_date_header(false);
    builder
}

fn http2_builder(executor: TaskExecutor) -> http2::Builder<TaskExecutor> {
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_send_buf_size(64 * 1024)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(256)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Answers a client that speaks cleartext in a tunnel where only TLS is allowed.
pub(crate) async fn refuse_cleartext(mut socket: TcpStream, error: &Error) {
    let reason = error.reason();
    let text = format!(
        "HTTP/1.1 400 Bad Request\r\nauthsome-error: {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    if socket.write_all(text.as_bytes()).await.is_ok() {
        let _ = socket.shutdown().await;
    }
}
