//! Refreshes under way: one a connection, on a thread of its own, shared by all who wait.
//!
//! Whoever waits may go away: the refresh goes on, and what it got is stored. [`Renewals::settle`] waits for the last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::auth::{AuthService, Error, Renewal};

/// So many run at once; more connections than this are not refreshed together.
const MAX_FLIGHTS: usize = 16;
/// After a refresh ahead of time that changed nothing, the next is made no sooner than this, doubling up to the limit.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Provider and connection.
type Key = (Arc<str>, Arc<str>);
/// How a refresh ended: the version of the record then.
pub(super) type Outcome = Result<Option<i64>, Arc<Error>>;
/// Somebody's wait for it.
pub(super) type Wait = watch::Receiver<Option<Outcome>>;

/// What refreshes need.
pub(crate) struct Renewals {
    auth: Arc<AuthService>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    flights: HashMap<Key, (Wait, JoinHandle<()>)>,
    pauses: HashMap<Key, (Instant, Duration)>,
}

impl Renewals {
    pub(super) fn new(auth: Arc<AuthService>) -> Self {
        Self { auth, state: Mutex::default() }
    }

    /// Starts a refresh, or joins the one that is under way. `None` when there are too many, or no thread can be had.
    pub(super) fn start(
        self: &Arc<Self>,
        provider: &Arc<str>,
        connection: &Arc<str>,
        renewal: Renewal,
    ) -> Option<Wait> {
        let key = (Arc::clone(provider), Arc::clone(connection));
        let mut state = self.state();
        state.flights.retain(|_, (_, thread)| !thread.is_finished());
        if let Some((wait, _)) = state.flights.get(&key) {
            return Some(wait.clone());
        }
        if state.flights.len() >= MAX_FLIGHTS {
            return None;
        }
        let (sender, wait) = watch::channel(None);
        let (own, flight) = (Arc::clone(self), key.clone());
        let work = move || {
            let outcome = own.renew(&flight, renewal);
            own.note_pause(&flight, &outcome);
            sender.send_replace(Some(outcome));
        };
        let thread = std::thread::Builder::new().name("refresh".into()).spawn(work);
        let thread = thread.inspect_err(|error| tracing::error!(%error, "no thread for a refresh")).ok()?;
        state.flights.insert(key, (wait.clone(), thread));
        Some(wait)
    }

    /// Starts a refresh ahead of time that nobody waits for, unless the last one changed nothing a short while ago.
    pub(super) fn start_ahead(self: &Arc<Self>, provider: &Arc<str>, connection: &Arc<str>) {
        let key = (Arc::clone(provider), Arc::clone(connection));
        let paused = self.state().pauses.get(&key).is_some_and(|(until, _)| Instant::now() < *until);
        if !paused {
            self.start(provider, connection, Renewal::WhenDue);
        }
    }

    /// Waits for the refreshes under way, so that no token that a server has given is lost.
    pub(super) fn settle(&self) {
        let flights: Vec<_> = self.state().flights.drain().collect();
        for (_, (_, thread)) in flights {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }

    fn renew(&self, (provider, connection): &Key, renewal: Renewal) -> Outcome {
        let renewed = self.auth.renewed(provider, Some(connection), renewal);
        renewed.map(|found| found.version).map_err(Arc::new)
    }

    /// A refresh that left the token due makes the next one wait.
    fn note_pause(&self, key: &Key, outcome: &Outcome) {
        let still_due = match (outcome, self.auth.connection(&key.0, Some(&key.1))) {
            (Ok(_), Ok(found)) => self.auth.due_at(&found.record).is_some_and(|at| at <= self.auth.now()),
            _ => true,
        };
        let mut state = self.state();
        if !still_due {
            state.pauses.remove(key);
            return;
        }
        let last = state.pauses.get(key).map(|(_, pause)| *pause);
        let pause = last.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        state.pauses.insert(key.clone(), (Instant::now() + pause, pause));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
