//! The queue between those who record events and the one thread that writes them.
//!
//! The queue is one buffer of formatted lines: recording costs no allocation and, while the thread
//! is busy, no system call. The thread writes the first line at once and then gathers for a moment.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::log_file::LogFile;
use super::{AuditError, Event, line::Formatter};
use crate::clock::Clock;

/// How long lines are gathered for one write.
const GATHER: Duration = Duration::from_millis(5);
/// The least time between two syncs.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// How long the thread waits after a failure.
const RETRY: Duration = Duration::from_millis(500);
/// What a buffer keeps of its size after a burst.
const KEPT: usize = 256 << 10;

/// The queue and what is known of the thread behind it.
pub(super) struct Queue {
    clock: Arc<dyn Clock>,
    capacity: usize,
    state: Mutex<State>,
    /// For the thread: there is something to do.
    work: Condvar,
    /// For those who flush: something was done.
    done: Condvar,
}

#[derive(Default)]
struct State {
    formatter: Formatter,
    lines: Vec<u8>,
    /// Bytes that the thread holds and has not written.
    in_hand: usize,
    idle: bool,
    unsynced: bool,
    /// Somebody waits for everything to be on disk.
    flushing: bool,
    closing: bool,
    failure: Option<Arc<str>>,
}

impl Queue {
    pub(super) fn new(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        let (work, done) = (Condvar::new(), Condvar::new());
        Self { clock, capacity, state: Mutex::default(), work, done }
    }

    pub(super) fn record(&self, event: &Event<'_>) -> Result<(), AuditError> {
        let now = self.clock.since_epoch();
        let mut state = self.state();
        if let Some(failure) = &state.failure {
            return Err(AuditError::Failed(failure.clone()));
        }
        if state.lines.len() + state.in_hand >= self.capacity {
            return Err(AuditError::Full);
        }
        let State { formatter, lines, .. } = &mut *state;
        formatter.append(now, event, lines);
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Waits until everything recorded so far is on disk.
    pub(super) fn flush(&self, patience: Duration) -> Result<(), AuditError> {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        while !state.lines.is_empty() || state.in_hand > 0 || state.unsynced {
            if let Some(failure) = &state.failure {
                return Err(AuditError::Failed(failure.clone()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(AuditError::Slow);
            }
            state.flushing = true;
            state.idle = false;
            self.work.notify_one();
            state = self.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        state.idle = false;
        drop(state);
        self.work.notify_one();
    }

    /// The thread: until the queue is closed and empty, or closed and failing.
    pub(super) fn serve(&self, mut file: LogFile) {
        let mut batch = Vec::new();
        let mut synced = Instant::now();
        while self.next_batch(&mut batch, synced) {
            let written = file.write(&mut batch);
            let sync = written.is_ok() && (self.must_sync() || synced.elapsed() >= SYNC_EVERY);
            let outcome = written.and_then(|()| if sync { file.sync() } else { Ok(()) });
            if sync {
                synced = Instant::now();
            }
            let failed = outcome.is_err();
            self.report(outcome, batch.len(), sync);
            batch.shrink_to(KEPT);
            if failed && self.pause_or_give_up() {
                break;
            }
        }
    }

    /// Waits for lines, or for the time of a sync; `false` when all is done.
    fn next_batch(&self, batch: &mut Vec<u8>, synced: Instant) -> bool {
        let mut state = self.state();
        loop {
            if !batch.is_empty() || !state.lines.is_empty() {
                break;
            }
            if state.closing && !state.unsynced {
                return false;
            }
            if state.unsynced && (state.flushing || state.closing || synced.elapsed() >= SYNC_EVERY) {
                break;
            }
            state.idle = true;
            let wait =
                if state.unsynced { SYNC_EVERY.saturating_sub(synced.elapsed()) } else { Duration::MAX };
            state = self.wait(state, wait);
        }
        state.idle = false;
        if batch.is_empty() {
            std::mem::swap(batch, &mut state.lines);
        }
        state.in_hand = batch.len();
        true
    }

    fn report(&self, outcome: Result<(), AuditError>, unwritten: usize, synced: bool) {
        let mut state = self.state();
        state.unsynced = !synced || outcome.is_err();
        state.in_hand = unwritten;
        state.failure = outcome.err().map(|error| describe(&error).into());
        let hurry = state.flushing || state.closing;
        if state.lines.is_empty() && (synced || state.failure.is_some()) {
            state.flushing = false;
        }
        self.done.notify_all();
        // Whoever records meanwhile need not wake the thread.
        if !hurry && state.failure.is_none() {
            drop(self.wait(state, GATHER));
        }
    }

    /// After a failure: whether the queue was closed meanwhile, so that nobody waits for the rest.
    fn pause_or_give_up(&self) -> bool {
        let state = self.state();
        state.closing || self.wait(state, RETRY).closing
    }

    fn must_sync(&self) -> bool {
        let state = self.state();
        state.flushing || state.closing
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        if time == Duration::MAX {
            return self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.work.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error with its causes, for those who meet it later.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
