//! Bodies on their way through: counted, never buffered, never rewritten.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::proxy::headers;
use crate::proxy::trail::Trail;
use crate::proxy::upstream::ServerBody;

/// Why a body could not be passed on.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How far a request body has come. Shared with the response, whose audit line tells it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bytes: AtomicU64,
}

impl Progress {
    /// More content was passed on.
    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of content passed on so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A request body from downstream.
#[derive(Debug)]
pub(crate) struct RequestBody {
    content: Content,
    progress: Arc<Progress>,
    /// What has passed, for a request that may have to be sent again.
    kept: Option<Kept>,
}

#[derive(Debug)]
enum Content {
    Client(Incoming),
    /// What was kept of one that was sent before.
    Again(Option<Bytes>),
}

/// What has passed of a body.
pub(crate) type Kept = Arc<Mutex<BytesMut>>;

impl RequestBody {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self { content: Content::Client(incoming), progress: Arc::default(), kept: None }
    }

    /// The same body once more.
    pub(crate) fn again(bytes: Bytes) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        Self { content: Content::Again(bytes), progress: Arc::default(), kept: None }
    }

    /// Keeps what passes from now on. The caller has seen that it is small.
    pub(crate) fn keep(&mut self) -> Kept {
        Arc::clone(self.kept.get_or_insert_default())
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match &mut self.content {
            Content::Client(incoming) => ready!(Pin::new(incoming).poll_frame(cx)),
            Content::Again(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
        };
        let frame = frame.map(|frame| frame.map(keep_own_trailers));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.progress.add(data.len() as u64);
            if let Some(kept) = &self.kept {
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(data);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Client(incoming) => incoming.is_end_stream(),
            Content::Again(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Client(incoming) => incoming.size_hint(),
            Content::Again(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

/// Drops trailers that a server could merge into the head: fields of framing, routing, authentication and our own
/// (RFC 9110 6.5.1).
fn keep_own_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    let mut trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(frame) => return frame,
    };
    let gone: Vec<_> = trailers.keys().filter(|name| !headers::may_trail(name)).cloned().collect();
    for name in gone {
        trailers.remove(name);
    }
    Frame::trailers(trailers)
}

/// A response body on its way downstream.
pub(crate) enum ResponseBody {
    /// Our own words.
    Text(Option<Bytes>),
    /// The server's, as they come.
    Upstream(UpstreamBody),
}

/// A server's body, whose end closes the audit trail.
pub(crate) struct UpstreamBody {
    incoming: ServerBody,
    bytes: u64,
    account: Option<(Trail, Arc<Progress>)>,
}

impl ResponseBody {
    pub(crate) fn text(text: Bytes) -> Self {
        Self::Text(Some(text))
    }

    /// Passes a body on. The exchange, if it is one, ends when the last frame was handed over or the body was dropped.
    pub(crate) fn upstream(incoming: ServerBody, account: Option<(Trail, Arc<Progress>)>) -> Self {
        let mut body = UpstreamBody { incoming, bytes: 0, account };
        if body.incoming.is_end_stream() {
            body.end(true);
        }
        Self::Upstream(body)
    }
}

impl UpstreamBody {
    /// `complete` is false when the body was cut short by either side.
    fn end(&mut self, complete: bool) {
        if let Some((trail, progress)) = self.account.take() {
            trail.ended(progress.bytes(), self.bytes, complete);
        }
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = match self.get_mut() {
            Self::Text(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Upstream(body) => body,
        };
        let frame = ready!(Pin::new(&mut body.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                body.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                if body.incoming.is_end_stream() {
                    body.end(true);
                }
            }
            Some(Err(_)) => body.end(false),
            None => body.end(true),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Upstream(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Self::Upstream(body) => body.incoming.size_hint(),
        }
    }
}
