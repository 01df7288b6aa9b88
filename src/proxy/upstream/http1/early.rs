//! A server that answers before it has read the whole request: the rest is sent all the same (RFC 9112 9.3), beside the
//! response and however slowly that is read. Clients that write everything first would wait for ever otherwise.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use super::{Fault, Flow, Framing};
use crate::proxy::body::BoxError;

type Piece = Result<Option<Frame<Bytes>>, BoxError>;

/// The response's frames, and `None` at its end.
pub(super) type Frames = mpsc::Receiver<Piece>;

/// Leaves both directions to a task. It ends with them, or when the client's body breaks off.
pub(super) fn carry_on(flow: Box<Flow>, framing: Framing) -> Frames {
    let (sender, frames) = mpsc::channel(1);
    let tasks = flow.connection.tasks.clone();
    let mut both =
        Both { flow, framing, frames: PollSender::new(sender), read: framing.is_empty(), sent: false };
    tasks.spawn(std::future::poll_fn(move |cx| both.poll(cx)));
    frames
}

struct Both {
    flow: Box<Flow>,
    framing: Framing,
    frames: PollSender<Piece>,
    read: bool,
    sent: bool,
}

impl Both {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.sent {
            match self.flow.upload.poll(cx, &mut self.flow.connection.stream) {
                Poll::Ready(Err(Fault::Request(_))) => return Poll::Ready(()),
                sent => self.sent = sent.is_ready(),
            }
        }
        while !self.read {
            match self.frames.poll_reserve(cx) {
                Poll::Pending => return Poll::Pending,
                // Nobody reads any more.
                Poll::Ready(Err(_)) => self.read = true,
                Poll::Ready(Ok(())) => match self.flow.connection.poll_frame(cx, &mut self.framing) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(piece) => {
                        self.read = !matches!(piece, Ok(Some(_)));
                        let _ = self.frames.send_item(piece);
                    }
                },
            }
        }
        if self.sent { Poll::Ready(()) } else { Poll::Pending }
    }
}
