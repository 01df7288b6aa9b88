//! Idle connections of one origin.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::client::conn::http2;
use tokio::time::Instant;

use super::{Protocol, Ready, http1};
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
    /// Nothing is kept any more.
    drained: bool,
}

/// The streams of one HTTP/2 connection.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    /// Each stream in flight holds a clone.
    in_flight: Arc<()>,
    /// What the server allows (RFC 9113 6.5.2), as its driver saw it last.
    allowed: Arc<AtomicUsize>,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { in_flight: Arc::new(()), allowed: Arc::new(AtomicUsize::new(MAX_STREAMS)) }
    }

    /// Where the connection's driver writes what the server allows.
    pub(super) fn allowance(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.allowed)
    }

    fn limit(&self) -> usize {
        self.allowed.load(Ordering::Relaxed).clamp(1, MAX_STREAMS)
    }
}

struct Idle {
    connection: http1::Connection,
    since: Instant,
}

struct Shared {
    sender: http2::SendRequest<RequestBody>,
    streams: Streams,
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
    pub(super) fn take(&self, protocol: Protocol) -> Option<Ready> {
        match protocol {
            Protocol::Http1 => {
                let mut state = self.lock();
                std::iter::from_fn(|| state.http1.pop())
                    .map(|idle| idle.connection)
                    .find_map(|mut connection| connection.is_quiet().then_some(Ready::Http1(connection)))
            }
            Protocol::Http2 => self.join(),
        }
    }

    fn join(&self) -> Option<Ready> {
        let mut state = self.lock();
        state.http2.retain(|shared| !shared.sender.is_closed());
        let free =
            |shared: &&mut Shared| Arc::strong_count(&shared.streams.in_flight) <= shared.streams.limit();
        let shared = state.http2.iter_mut().find(free)?;
        shared.used = Instant::now();
        let (sender, stream) = (shared.sender.clone(), shared.streams.clone());
        Some(Ready::Http2 { sender, stream, reused: true })
    }

    /// Keeps a connection for the next request.
    pub(super) fn park(&self, connection: http1::Connection) {
        let mut state = self.lock();
        if !state.drained && state.http1.len() < MAX_IDLE {
            state.http1.push(Idle { connection, since: Instant::now() });
        }
    }

    pub(super) fn share(&self, sender: http2::SendRequest<RequestBody>, streams: Streams) {
        self.lock().http2.push(Shared { sender, streams, used: Instant::now() });
    }

    /// Drops everything, now and later.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.drained = true;
        state.http1.clear();
        state.http2.clear();
    }

    /// Drops what is idle for too long, and says whether anything is left.
    pub(super) fn sweep(&self) -> bool {
        let mut state = self.lock();
        state.http1.retain_mut(|idle| idle.since.elapsed() < IDLE && idle.connection.is_quiet());
        state.http2.retain(|shared| {
            let busy = Arc::strong_count(&shared.streams.in_flight) > 1;
            !shared.sender.is_closed() && (busy || shared.used.elapsed() < IDLE)
        });
        !state.http1.is_empty() || !state.http2.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
