//! How long the head of a response may take.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::proxy::body::Progress;

/// Language models think for minutes.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// A timer that serves one request after the other: to move it costs less than to make one.
#[derive(Debug)]
pub(super) struct Patience {
    timer: Pin<Box<Sleep>>,
    sent: u64,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { timer: Box::pin(sleep(RESPONSE_TIMEOUT)), sent: 0 }
    }

    /// A request begins.
    pub(super) fn start(&mut self, progress: &Progress) {
        self.sent = progress.bytes();
        self.timer.as_mut().reset(Instant::now() + RESPONSE_TIMEOUT);
    }

    /// Ready when the request's body has not moved for 15 minutes, nor the server answered.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>, progress: &Progress) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if progress.bytes() == self.sent {
                return Poll::Ready(());
            }
            self.start(progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_moves_puts_the_end_off() {
        let (mut patience, progress) = (Patience::new(), Progress::default());
        let begun = Instant::now();
        patience.start(&progress);
        let moving = async {
            sleep(RESPONSE_TIMEOUT / 2).await;
            progress.add(1);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = moving => {}
            () = std::future::poll_fn(|cx| patience.poll_late(cx, &progress)) => {}
        }
        assert_eq!(begun.elapsed().as_secs(), 2 * RESPONSE_TIMEOUT.as_secs());
    }
}
