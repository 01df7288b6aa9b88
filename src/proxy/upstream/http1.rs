//! HTTP/1.1 towards a server (RFC 9112): one exchange at a time, driven by whoever awaits its response. No task of its
//! own, no channel and no copy of what passes: this is half of what a request costs.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::coop::unconstrained;
use tokio_util::io::poll_read_buf;
use tokio_util::task::TaskTracker;

use super::Pool;
use super::patience::Patience;
use crate::proxy::body::{BoxError, Progress, RequestBody};
use crate::proxy::stream::Patient;

mod body;
mod chunked;
mod early;
mod head;
mod upload;

pub(crate) use body::{ServerBody, Switched};
use chunked::Chunked;
use head::Framing;
use upload::Upload;

/// A response head, with everything that comes before it.
const MAX_HEAD: usize = 64 * 1024;
/// The least and the most that is asked of the stream at once.
const READ: usize = 8 * 1024;
const MAX_READ: usize = 64 * 1024;
/// So many interim responses (RFC 9110 15.2) may come before the final one.
const MAX_INTERIM: u8 = 32;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the server closed the connection before it answered")]
    Closed,
    #[error("the request's body ended early")]
    Request(#[source] hyper::Error),
    #[error("the server did not answer in time")]
    Late,
    #[error("the server's answer is not HTTP/1.1: {0}")]
    Malformed(&'static str),
}

/// A connection between two exchanges.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Patient,
    input: BytesMut,
    /// What the next read asks for.
    room: usize,
    patience: Patience,
    tasks: TaskTracker,
}

impl Connection {
    pub(crate) fn new(stream: Patient, tasks: TaskTracker) -> Self {
        Self { stream, input: BytesMut::new(), room: READ, patience: Patience::new(), tasks }
    }

    /// Whether a request may be sent: the server has neither closed the connection nor said anything unasked.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0; 1];
        let mut byte = ReadBuf::new(&mut byte);
        let read = std::future::poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, &mut byte));
        // A task that has had its turn would see nothing, and take a dead connection for a quiet one.
        let quiet = pin!(unconstrained(read)).poll(&mut Context::from_waker(Waker::noop())).is_pending();
        quiet && self.input.is_empty()
    }

    /// Sends a request and waits for the head of its response. At its end the connection goes to the pool.
    pub(crate) fn send(
        self,
        request: Request<RequestBody>,
        pool: Option<Arc<Pool>>,
    ) -> impl Future<Output = Result<Response<ServerBody>, Fault>> + Send {
        let (head_only, progress) = (request.method() == Method::HEAD, request.body().progress());
        // In a box, which is all that moves from here to the end of the response.
        let mut flow = Box::new(Flow { connection: self, upload: Upload::start(request), interim: 0 });
        async move {
            flow.connection.patience.start(&progress);
            let (response, head::Meaning { framing, reusable }) =
                std::future::poll_fn(|cx| flow.poll_head(cx, head_only, &progress)).await?;
            let pool = pool.filter(|_| reusable);
            let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            Ok(response.map(|()| ServerBody::of(flow, framing, switched, pool)))
        }
    }

    /// Reads on, and gives the number of bytes: none at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(self.room);
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input))?;
        // TLS gives at most a record at once: two in a row are a download.
        self.room = if read >= self.room { (self.room * 2).min(MAX_READ) } else { self.room };
        Poll::Ready(Ok(read))
    }

    /// Reads on where the stream must not end yet.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.poll_read(cx))? {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// The next piece of a body; `None` at its end.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        framing: &mut Framing,
    ) -> Poll<Result<Option<Frame<Bytes>>, BoxError>> {
        match framing {
            Framing::Length(0) => Poll::Ready(Ok(None)),
            Framing::Length(left) => {
                if self.input.is_empty() {
                    ready!(self.poll_fill(cx))?;
                }
                let data = take(&mut self.input, *left);
                *left -= data.len() as u64;
                Poll::Ready(Ok(Some(Frame::data(data))))
            }
            Framing::Chunked(chunked) => chunked.poll_frame(cx, self),
            Framing::UntilClose => {
                let data = ready!(self.poll_until_close(cx))?;
                Poll::Ready(Ok((!data.is_empty()).then(|| Frame::data(data))))
            }
        }
    }

    /// The next bytes, none at the end. TLS must have been closed in order (RFC 9112 9.8).
    fn poll_until_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.input.is_empty() {
            ready!(self.poll_read(cx))?;
        }
        Poll::Ready(Ok(take(&mut self.input, u64::MAX)))
    }
}

/// At most so many bytes of what was read.
fn take(input: &mut BytesMut, most: u64) -> Bytes {
    let length = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    input.split_to(length).freeze()
}

/// An exchange in progress.
struct Flow {
    connection: Connection,
    upload: Upload,
    /// Heads that came before the final one.
    interim: u8,
}

impl Flow {
    /// Sends, and reads until a final response head is whole or it is too late.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        head_only: bool,
        progress: &Progress,
    ) -> Poll<Result<(Response<()>, head::Meaning), Fault>> {
        if let Poll::Ready(head) = self.poll_final_head(cx, head_only) {
            return Poll::Ready(head);
        }
        ready!(self.connection.patience.poll_late(cx, progress));
        Poll::Ready(Err(Fault::Late))
    }

    /// Sends and reads: the server may answer before it has read everything.
    fn poll_final_head(
        &mut self,
        cx: &mut Context<'_>,
        head_only: bool,
    ) -> Poll<Result<(Response<()>, head::Meaning), Fault>> {
        let sent = self.upload.poll(cx, &mut self.connection.stream);
        if let Poll::Ready(Err(Fault::Request(error))) = sent {
            return Poll::Ready(Err(Fault::Request(error)));
        }
        loop {
            if let Some((response, meaning)) = head::parse(&mut self.connection.input, head_only)? {
                if !response.status().is_informational()
                    || response.status() == StatusCode::SWITCHING_PROTOCOLS
                {
                    return Poll::Ready(Ok((response, meaning)));
                }
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Poll::Ready(Err(Fault::Malformed("it has no end of interim responses")));
                }
                continue;
            }
            if self.connection.input.len() > MAX_HEAD {
                return Poll::Ready(Err(Fault::Malformed("its head is too long")));
            }
            if let Err(error) = ready!(self.connection.poll_fill(cx)) {
                let nothing =
                    error.kind() == io::ErrorKind::UnexpectedEof && self.connection.input.is_empty();
                return Poll::Ready(Err(if nothing { Fault::Closed } else { Fault::Io(error) }));
            }
        }
    }
}

/// Reads heads and chunked bodies out of `bytes` until they end or are no HTTP. Each step takes something.
#[cfg(fuzzing)]
pub(crate) fn read_responses(bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    while let Ok(Some((_, meaning))) = head::parse(&mut input, false) {
        let Framing::Chunked(mut chunked) = meaning.framing else { continue };
        while !chunked.is_done() {
            let before = (input.len(), chunked);
            match chunked.advance(&mut input) {
                Ok(chunked::Step::More) | Err(_) => return,
                Ok(_) => assert_ne!((input.len(), chunked), before, "nothing was taken"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
