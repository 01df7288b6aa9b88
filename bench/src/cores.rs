//! One current-thread runtime a core, connections handed out by turns: how `authsome` runs, and the origin, too.

use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// How many runtimes there are: one a core.
pub(crate) fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A current-thread runtime.
pub(crate) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("no runtime")
}

/// Accepts for ever; each connection becomes a task of the next core's runtime.
pub(crate) fn serve<H, F>(listener: &TcpListener, handler: H) -> Result<()>
where
    H: Fn(tokio::net::TcpStream) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut workers = Vec::new();
    for _ in 0..count() {
        let (sender, receiver) = mpsc::unbounded_channel::<TcpStream>();
        let handler = handler.clone();
        let runtime = runtime()?;
        thread::spawn(move || runtime.block_on(work(receiver, handler)));
        workers.push(sender);
    }
    for (turn, socket) in listener.incoming().enumerate() {
        let Ok(socket) = socket else { continue };
        workers[turn % workers.len()].send(socket).context("a worker ended")?;
    }
    Ok(())
}

/// The same on tokio's usual runtime, which moves tasks between its threads.
pub(crate) fn serve_on_one_runtime<H, F>(listener: TcpListener, handler: H) -> Result<()>
where
    H: Fn(tokio::net::TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    listener.set_nonblocking(true)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            if socket.set_nodelay(true).is_ok() {
                tokio::spawn(handler(socket));
            }
        }
    })
}

async fn work<H, F>(mut receiver: mpsc::UnboundedReceiver<TcpStream>, handler: H)
where
    H: Fn(tokio::net::TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    while let Some(socket) = receiver.recv().await {
        let ready = socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true));
        if ready.is_ok()
            && let Ok(socket) = tokio::net::TcpStream::from_std(socket)
        {
            tokio::spawn(handler(socket));
        }
    }
}
