//! Idle connections of one origin.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use tokio::time::Instant;

use super::{Protocol, Ready};
use crate::proxy::body::RequestBody;

/// Shorter than the idle limit of most servers, so that they seldom close under our hands.
const IDLE: Duration = Duration::from_secs(45);
/// So many idle HTTP/1 connections wait for one origin.
const MAX_IDLE: usize = 128;
/// So many streams share one HTTP/2 connection before another one is opened.
const MAX_STREAMS: usize = 100;

#[derive(Default)]
pub(super) struct Parking {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    preferred: Option<Protocol>,
    http1: Vec<Idle>,
    http2: Vec<Shared>,
}

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
}

struct Shared {
    sender: http2::SendRequest<RequestBody>,
    /// Each stream in flight holds a clone.
    streams: Arc<()>,
    used: Instant,
}

impl std::fmt::Debug for Parking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        write!(f, "Parking({:?}, {} h1, {} h2)", state.preferred, state.http1.len(), state.http2.len())
    }
}

impl Parking {
    /// What the origin chose when it was offered HTTP/2.
    pub(super) fn preferred(&self) -> Option<Protocol> {
        self.lock().preferred
    }

    pub(super) fn prefer(&self, protocol: Protocol) {
        self.lock().preferred = Some(protocol);
    }

    pub(super) fn forget(&self) {
        self.lock().preferred = None;
    }

    /// The connection that was used last and still lives.
    pub(super) async fn take(&self, protocol: Protocol) -> Option<Ready> {
        match protocol {
            Protocol::Http1 => loop {
                let Idle { mut sender, .. } = self.lock().http1.pop()?;
                // Its last response has ended, so that it is ready within one turn of its task, or closed.
                if sender.ready().await.is_ok() {
                    return Some(Ready::Http1 { sender, reused: true });
                }
            },
            Protocol::Http2 => self.join(),
        }
    }

    fn join(&self) -> Option<Ready> {
        let mut state = self.lock();
        state.http2.retain(|shared| !shared.sender.is_closed());
        let free = |shared: &&mut Shared| Arc::strong_count(&shared.streams) <= MAX_STREAMS;
        let shared = state.http2.iter_mut().find(free)?;
        shared.used = Instant::now();
        let (sender, stream) = (shared.sender.clone(), Arc::clone(&shared.streams));
        Some(Ready::Http2 { sender, stream, reused: true })
    }

    /// Keeps a connection for the next request.
    pub(super) fn park(&self, ready: Ready) {
        match ready {
            Ready::Http1 { sender, .. } => {
                let mut state = self.lock();
                if !sender.is_closed() && state.http1.len() < MAX_IDLE {
                    state.http1.push(Idle { sender, since: Instant::now() });
                }
            }
            Ready::Http2 { sender, stream, .. } => self.share(sender, stream),
        }
    }

    pub(super) fn share(&self, sender: http2::SendRequest<RequestBody>, streams: Arc<()>) {
        self.lock().http2.push(Shared { sender, streams, used: Instant::now() });
    }

    /// Drops everything.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.http1.clear();
        state.http2.clear();
    }

    /// Drops what is idle for too long, and says whether anything is left.
    pub(super) fn sweep(&self) -> bool {
        let mut state = self.lock();
        state.http1.retain(|idle| idle.since.elapsed() < IDLE && !idle.sender.is_closed());
        state.http2.retain(|shared| {
            let busy = Arc::strong_count(&shared.streams) > 1;
            !shared.sender.is_closed() && (busy || shared.used.elapsed() < IDLE)
        });
        !state.http1.is_empty() || !state.http2.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
