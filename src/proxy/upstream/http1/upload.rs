//! A request on the wire: its head, then its body as it comes.

use std::fmt::Write;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::Request;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use tokio::io::AsyncWrite;

use super::{Fault, head};
use crate::proxy::body::RequestBody;
use crate::proxy::stream::Patient;

/// Data up to this size is gathered with what goes before it, into one TLS record.
const GATHER: usize = 8 * 1024;

/// What of a request is not sent yet.
pub(super) struct Upload {
    body: Option<RequestBody>,
    chunked: bool,
    output: BytesMut,
    /// Data too large to be gathered: it follows the output.
    data: Bytes,
    /// The data is a chunk whose end is still to be written.
    open_chunk: bool,
    flushed: bool,
    /// The server takes no more; it may still answer.
    broken: bool,
}

impl Upload {
    pub(super) fn start(request: Request<RequestBody>) -> Self {
        let (head, body) = request.into_parts();
        let (body, size) = if body.is_end_stream() { (None, Some(0)) } else { (Some(body), None) };
        let size = size.or_else(|| body.as_ref().and_then(|body| body.size_hint().exact()));
        let length = size.filter(|_| head.headers.contains_key(CONTENT_LENGTH) || body.is_some());
        let chunked = size.is_none();
        let mut output = BytesMut::new();
        head::write(&head, length, chunked, &mut output);
        Self { body, chunked, output, data: Bytes::new(), open_chunk: false, flushed: false, broken: false }
    }

    /// Whether nothing more can be sent.
    pub(super) fn is_over(&self) -> bool {
        self.broken || self.is_complete()
    }

    /// Whether everything was sent.
    pub(super) fn is_complete(&self) -> bool {
        self.flushed && !self.broken && self.body.is_none()
    }

    /// Sends what there is. Ready when everything is sent, or nothing more can be.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, stream: &mut Patient) -> Poll<Result<(), Fault>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        loop {
            let gathered = self.gather(cx)?;
            if let Err(error) = ready!(self.poll_write(cx, stream)) {
                self.broken = true;
                self.body = None;
                return Poll::Ready(Err(error.into()));
            }
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
            ready!(gathered);
        }
    }

    /// Takes from the body what has come. Pending when nothing more has.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        while self.data.is_empty() && self.output.len() < GATHER {
            let Some(body) = &mut self.body else { break };
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Some(Err(error))) => return Err(Fault::Request(error)),
                Poll::Ready(None) => self.end(None),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.add(data),
                    Err(frame) => self.end(frame.into_trailers().ok().as_ref()),
                },
            }
            if !self.chunked && self.body.as_ref().is_some_and(Body::is_end_stream) {
                self.body = None;
            }
        }
        Ok(Poll::Ready(()))
    }

    fn add(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        self.flushed = false;
        if self.chunked {
            let _ = write!(self.output, "{:x}\r\n", data.len());
        }
        if self.output.len() + data.len() > GATHER {
            (self.data, self.open_chunk) = (data, self.chunked);
            return;
        }
        self.output.put_slice(&data);
        if self.chunked {
            self.output.put_slice(b"\r\n");
        }
    }

    fn end(&mut self, trailers: Option<&http::HeaderMap>) {
        self.body = None;
        if !self.chunked {
            return;
        }
        self.flushed = false;
        self.output.put_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                self.output.put_slice(part);
            }
        }
        self.output.put_slice(b"\r\n");
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, stream: &mut Patient) -> Poll<io::Result<()>> {
        loop {
            let next = if self.output.is_empty() { &self.data[..] } else { &self.output[..] };
            if next.is_empty() {
                break;
            }
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, next))?;
            match written {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                _ if !self.output.is_empty() => self.output.advance(written),
                _ => self.data.advance(written),
            }
            if self.data.is_empty() && std::mem::take(&mut self.open_chunk) {
                self.output.put_slice(b"\r\n");
            }
        }
        if !self.flushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}
