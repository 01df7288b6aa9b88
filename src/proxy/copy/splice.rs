//! Moving bytes between sockets inside the kernel (splice(2)). A pipe is held only while bytes are in it, so
//! that an idle tunnel costs no buffer and no descriptor.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use nix::fcntl::{OFlag, SpliceFFlags, splice};
use nix::unistd::pipe2;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::Flow;

/// What a pipe holds unless it is told otherwise (pipe(7)).
const PIPE: usize = 64 * 1024;

/// Moves one direction to its end, and passes the end on.
pub(super) async fn one_way(from: ReadHalf<'_>, mut to: WriteHalf<'_>, flow: &Flow) -> io::Result<()> {
    loop {
        from.readable().await?;
        if !burst(&from, &to, flow).await? {
            flow.half_closed.store(true, Ordering::Relaxed);
            return to.shutdown().await;
        }
    }
}

/// Moves what is there now; false at the end of the stream.
async fn burst(from: &ReadHalf<'_>, to: &WriteHalf<'_>, flow: &Flow) -> io::Result<bool> {
    let (pipe_out, pipe_in) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
    loop {
        let mut waiting = match fill(from.as_ref(), &pipe_in) {
            Ok(0) => return Ok(false),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        flow.moved(waiting);
        // A fast sender and a fast receiver would else keep the worker to themselves.
        tokio::task::consume_budget().await;
        while waiting > 0 {
            to.writable().await?;
            match drain(&pipe_out, to.as_ref(), waiting) {
                Ok(length) => waiting -= length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn fill(from: &TcpStream, pipe: &OwnedFd) -> io::Result<usize> {
    from.try_io(Interest::READABLE, || Ok(splice(from, None, pipe, None, PIPE, flags())?))
}

fn drain(pipe: &OwnedFd, to: &TcpStream, length: usize) -> io::Result<usize> {
    to.try_io(Interest::WRITABLE, || Ok(splice(pipe, None, to, None, length, flags())?))
}

fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}
