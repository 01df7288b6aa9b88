//! The body of a response, and what becomes of its connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::{Fault, Flow, Framing, early};
use crate::proxy::body::BoxError;
use crate::proxy::stream::Patient;
use crate::proxy::upstream::Pool;

/// A stream after a 101, and what came ahead in the new protocol.
pub(crate) type Switched = (Patient, BytesMut);

/// The body of a response, as it comes.
pub(crate) struct ServerBody {
    source: Source,
    framing: Framing,
    pool: Option<Arc<Pool>>,
    /// Told one turn late, so that what came before it is on its way to the client.
    fault: Option<BoxError>,
}

enum Source {
    Connection(Box<Flow>),
    /// The request is still being sent, by a task that reads as well.
    Task(early::Frames),
    Ended,
}

impl ServerBody {
    /// What follows a response head.
    pub(super) fn of(flow: Box<Flow>, framing: Framing, switched: bool, pool: Option<Arc<Pool>>) -> Self {
        let source = if switched || flow.upload.is_over() {
            Source::Connection(flow)
        } else {
            Source::Task(early::carry_on(flow, framing))
        };
        let mut body = Self { source, framing, pool, fault: None };
        if framing.is_empty() && !switched {
            body.end();
        }
        body
    }

    pub(crate) fn into_switched(self) -> Option<Switched> {
        match self.source {
            Source::Connection(flow) => Some((flow.connection.stream, flow.connection.input)),
            Source::Task(_) | Source::Ended => None,
        }
    }

    /// The whole response was read: the connection may serve again if the whole request was sent, too.
    fn end(&mut self) {
        if let Source::Connection(flow) = std::mem::replace(&mut self.source, Source::Ended)
            && let Some(pool) = self.pool.take()
            && flow.upload.is_complete()
        {
            pool.park(flow.connection);
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, BoxError>> {
        match &mut self.source {
            Source::Connection(flow) => flow.connection.poll_frame(cx, &mut self.framing),
            Source::Task(frames) => {
                let frame = ready!(frames.poll_recv(cx)).unwrap_or_else(|| Err(Fault::Closed.into()))?;
                if let (Framing::Length(left), Some(data)) =
                    (&mut self.framing, frame.as_ref().and_then(Frame::data_ref))
                {
                    *left -= data.len() as u64;
                }
                Poll::Ready(Ok(frame))
            }
            Source::Ended => Poll::Ready(Ok(None)),
        }
    }
}

impl http_body::Body for ServerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        if let Some(fault) = body.fault.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        match ready!(body.poll_source(cx)) {
            Ok(frame) => {
                if frame.is_none() || body.framing.is_empty() {
                    body.end();
                }
                Poll::Ready(frame.map(Ok))
            }
            Err(fault) => {
                (body.source, body.fault) = (Source::Ended, Some(fault));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Ended) && self.fault.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left),
            _ => SizeHint::default(),
        }
    }
}
