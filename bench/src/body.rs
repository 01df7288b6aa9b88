//! Bodies that cost nothing to make: so many bytes of one block, or one timed event after another.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::clock;

const BLOCK: usize = 64 * 1024;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Time between two events.
const EVENT_GAP: Duration = Duration::from_millis(2);

/// What the origin answers with and the load generator uploads.
pub(crate) enum Payload {
    /// These bytes at once.
    Whole(Bytes),
    /// So many zero bytes, a block at a time.
    Zeros(u64),
    /// So many server-sent events; each one's data is the monotonic clock at its sending.
    Events { left: u64, timer: Interval },
}

impl Payload {
    pub(crate) fn empty() -> Self {
        Self::Zeros(0)
    }

    pub(crate) fn events(count: u64) -> Self {
        let mut timer = interval(EVENT_GAP);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Events { left: count, timer }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match self.get_mut() {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Zeros(left) => {
                let size = (*left).min(BLOCK as u64);
                *left -= size;
                Bytes::from_static(&ZEROS[..size as usize])
            }
            Self::Events { left: 0, .. } => Bytes::new(),
            Self::Events { left, timer } => {
                ready!(timer.poll_tick(cx));
                *left -= 1;
                Bytes::from(format!("data: {}\n\n", clock::monotonic_ns()))
            }
        };
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Zeros(left) => SizeHint::with_exact(*left),
            Self::Events { .. } => SizeHint::default(),
        }
    }
}
