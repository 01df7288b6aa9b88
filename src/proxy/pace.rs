//! How a client paces its HTTP/1 requests inside a tunnel: how long it may be silent, and how long a head may take.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

/// A connection is kept this long between two exchanges.
const IDLE: Duration = Duration::from_secs(120);
/// The first request head takes no longer from the end of the TLS handshake, a later one from its first byte, give or
/// take a [`TICK`].
const HEAD: Duration = Duration::from_secs(30);
/// How often the counters are looked at: a request costs no timer.
const TICK: Duration = Duration::from_secs(4);

/// What a tunnel's client did, counted.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Reads that brought bytes.
    heard: AtomicU64,
    /// As many of them as belong to what was served.
    served: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
    /// Writes that the client took bytes of.
    taken: AtomicU64,
    /// The last write found no room.
    full: AtomicBool,
}

impl Pace {
    /// Bytes came.
    pub(crate) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// A write came to this: what a client does not take is none of its requests.
    pub(crate) fn wrote<T>(&self, written: &Poll<T>) {
        self.full.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A head was whole.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// An exchange is over, and what came so far is no part of a head to come.
    pub(crate) fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.served.store(self.heard.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Returns when the client has let one of the limits pass.
    pub(crate) async fn ran_out(&self) {
        let (mut state, mut since) = (self.state(), Instant::now());
        loop {
            tokio::time::sleep(TICK).await;
            let (now, seen) = (Instant::now(), self.state());
            if seen != state {
                (state, since) = (seen, now);
            }
            let limit = match state {
                State::Busy => continue,
                State::Waiting { .. } => IDLE,
                State::Head { .. } => HEAD - TICK,
            };
            if now - since >= limit {
                return;
            }
        }
    }

    fn state(&self) -> State {
        let begun = self.begun.load(Ordering::Relaxed);
        if begun > self.ended.load(Ordering::Relaxed) || self.full.load(Ordering::Relaxed) {
            State::Busy
        } else if self.heard.load(Ordering::Relaxed) > self.served.load(Ordering::Relaxed) {
            State::Head { after: begun }
        } else {
            State::Waiting { after: begun, taken: self.taken.load(Ordering::Relaxed) }
        }
    }
}

/// What a connection is at, after so many exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Busy,
    Waiting { after: u64, taken: u64 },
    Head { after: u64 },
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seconds_until_it_ran_out(pace: &Pace) -> u64 {
        let begun = Instant::now();
        pace.ran_out().await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_half_a_minute_and_silence_two() {
        let pace = Pace::default();
        pace.heard();
        assert!((26..=34).contains(&seconds_until_it_ran_out(&pace).await));
        pace.begin();
        pace.end();
        assert!((120..=124).contains(&seconds_until_it_ran_out(&pace).await));
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_takes_as_long_as_it_takes() {
        let pace = Pace::default();
        pace.heard();
        pace.begin();
        let served = tokio::time::timeout(Duration::from_secs(3600), pace.ran_out()).await;
        assert!(served.is_err());
        pace.end();
        assert!((120..=124).contains(&seconds_until_it_ran_out(&pace).await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_read_as_slowly_as_it_likes() {
        let pace = Pace::default();
        pace.begin();
        pace.wrote(&Poll::<()>::Pending);
        pace.end();
        assert!(tokio::time::timeout(Duration::from_secs(3600), pace.ran_out()).await.is_err());
        pace.wrote(&Poll::Ready(()));
        assert!((120..=124).contains(&seconds_until_it_ran_out(&pace).await));
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_starts_the_clock_again() {
        let pace = Pace::default();
        let requests = async {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                pace.heard();
                pace.begin();
                pace.end();
            }
        };
        tokio::select! {
            () = requests => {}
            () = pace.ran_out() => panic!("a client that asks every 20 seconds was given up"),
        }
    }
}
