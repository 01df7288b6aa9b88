//! Bodies whose frames a test sends one by one.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use tokio::sync::mpsc;

/// What servers answer and clients send.
pub(crate) type AnyBody = BoxBody<Bytes, std::io::Error>;

/// All at once, with its length.
pub(crate) fn full(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// No body.
pub(crate) fn empty() -> AnyBody {
    full(Bytes::new())
}

/// A body that ends when its `Feed` is dropped.
pub(crate) fn fed() -> (Feed, AnyBody) {
    let (sender, receiver) = mpsc::channel(1);
    (Feed(sender), Fed(receiver).boxed())
}

/// The hand that feeds a body.
pub(crate) struct Feed(mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>);

impl Feed {
    /// Whether the frame was taken; `false` when the reader is gone.
    pub(crate) async fn send(&self, bytes: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(bytes.into()))).await.is_ok()
    }

    pub(crate) async fn trailers(self, trailers: HeaderMap) {
        self.0.send(Ok(Frame::trailers(trailers))).await.unwrap();
    }

    /// Breaks the body off.
    pub(crate) async fn abort(self) {
        let _ = self.0.send(Err(std::io::Error::other("broken off by the test"))).await;
    }

    /// Resolves when nobody will read the body any more.
    pub(crate) async fn unread(&self) {
        self.0.closed().await;
    }
}

struct Fed(mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>);

impl Body for Fed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context)
    }
}
