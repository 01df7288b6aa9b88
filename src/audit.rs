//! The append-only log of what happened: `audit.log` in the home, one JSON object a line.
//!
//! It owns no decision and sees no credential, query, header or body. A program that records much
//! holds an [`Audit`], whose queue one thread empties; a command appends its one event by [`append`].
//! Where an event cannot be recorded the caller must not go on: no credential without its line.

mod line;
mod log_file;
mod writer;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::clock::Clock;
use crate::home::files::FileError;
use crate::home::{self, Home};
use log_file::LogFile;
use writer::Queue;

/// The size at which the log is rotated.
const ROTATE_AT: u64 = 64 << 20;
/// What the queue holds: some twenty thousand lines.
const CAPACITY: usize = 8 << 20;
/// How long [`Audit::flush`] waits for the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why an event is not recorded.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Events come faster than the disk takes them.
    #[error("the queue of the audit log is full")]
    Full,
    /// The log cannot be written; it is tried again, and later events may succeed.
    #[error("the audit log cannot be written: {0}")]
    Failed(Arc<str>),
    /// The disk did not take the events in time.
    #[error("the audit log was not written in time")]
    Slow,
    /// The thread that writes it could not be started.
    #[error("the audit log's thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// The file cannot be used.
    #[error("the audit log cannot be used")]
    File(#[from] FileError),
    /// It is to be rotated, and the home cannot be locked.
    #[error("the audit log cannot be rotated")]
    Home(#[source] Box<home::Error>),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventName {
    /// A connection was made.
    Login,
    /// A connection was removed here.
    Logout,
    /// A connection was revoked at the provider.
    Revoke,
    /// A definition was removed or reset.
    Remove,
    /// A definition was added.
    Register,
    /// An access token was renewed.
    Refresh,
    /// A secret was shown.
    GetSecret,
    /// Secrets were printed for another program.
    Export,
    /// A profile was made or chosen.
    Profile,
    /// Our certificate authority changed.
    Ca,
    /// The vault as a whole changed.
    Vault,
    /// A run began.
    RunStart,
    /// A run ended.
    RunEnd,
    /// A request with a credential of ours.
    Exchange,
    /// Something was refused.
    Refused,
}

impl EventName {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Revoke => "revoke",
            Self::Remove => "remove",
            Self::Register => "register",
            Self::Refresh => "refresh",
            Self::GetSecret => "get_secret",
            Self::Export => "export",
            Self::Profile => "profile",
            Self::Ca => "ca",
            Self::Vault => "vault",
            Self::RunStart => "run_start",
            Self::RunEnd => "run_end",
            Self::Exchange => "exchange",
            Self::Refused => "refused",
        }
    }
}

/// Who acted with what, formatted once for many events.
#[derive(Debug)]
pub struct Party(Vec<u8>);

impl Party {
    /// Formats four fields.
    pub fn new(actor: &str, profile: &str, provider: &str, connection: &str) -> Self {
        Self(line::party(actor, profile, provider, connection))
    }
}

/// One event. Absent fields are left out of the line.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// What happened.
    pub name: EventName,
    /// The actor, profile, provider and connection, in the place of these fields.
    pub party: Option<&'a Party>,
    /// Who did it: an agent.
    pub actor: Option<&'a str>,
    /// For whom: a user.
    pub subject: Option<&'a str>,
    /// The profile.
    pub profile: Option<&'a str>,
    /// The provider.
    pub provider: Option<&'a str>,
    /// The connection's name.
    pub connection: Option<&'a str>,
    /// How it ended.
    pub outcome: Option<&'a str>,
    /// Why it ended so: the reason of a refusal.
    pub reason: Option<&'a str>,
    /// What is known of a request.
    pub exchange: Option<Exchange<'a>>,
}

impl<'a> Event<'a> {
    /// An event of which only the name is known.
    pub fn new(name: EventName) -> Self {
        Self {
            name,
            party: None,
            actor: None,
            subject: None,
            profile: None,
            provider: None,
            connection: None,
            outcome: None,
            reason: None,
            exchange: None,
        }
    }
}

/// What the log says of a request: the outcome of each step, never its query, headers or body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exchange<'a> {
    /// Joins the line before a request is sent with the one at its end.
    pub id: Option<u64>,
    /// The method.
    pub method: &'a str,
    /// The origin's host, with its port unless that is 443.
    pub host: &'a str,
    /// What policy decided.
    pub policy: Option<&'static str>,
    /// Whether the credential was at hand: `hit` or `miss`.
    pub vault: Option<&'static str>,
    /// How a refresh went, if there was one.
    pub refresh: Option<&'static str>,
    /// Where the credential was placed.
    pub injected: Option<&'static str>,
    /// The response's status.
    pub status: Option<u16>,
    /// Bytes of the request's body.
    pub bytes_sent: Option<u64>,
    /// Bytes of the response's body.
    pub bytes_received: Option<u64>,
    /// Milliseconds since the request came.
    pub ms: Option<u64>,
}

/// A handle to the log. Clones share one queue and one thread, which ends with the last of them.
#[derive(Clone)]
pub struct Audit {
    thread: Arc<WriterThread>,
}

struct WriterThread {
    queue: Arc<Queue>,
    handle: Option<JoinHandle<()>>,
}

impl Audit {
    /// Opens the log of a home and starts its thread.
    ///
    /// # Errors
    /// When the log cannot be opened for appending.
    pub fn open(home: &Home, clock: Arc<dyn Clock>) -> Result<Self, AuditError> {
        Self::with_limits(home, clock, CAPACITY, ROTATE_AT)
    }

    fn with_limits(
        home: &Home,
        clock: Arc<dyn Clock>,
        capacity: usize,
        rotate_at: u64,
    ) -> Result<Self, AuditError> {
        let file = LogFile::open(home, rotate_at)?;
        let queue = Arc::new(Queue::new(clock, capacity));
        let served = queue.clone();
        let handle = thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || served.serve(file))
            .map_err(AuditError::Thread)?;
        Ok(Self { thread: Arc::new(WriterThread { queue, handle: Some(handle) }) })
    }

    /// Puts an event into the queue, without waiting.
    ///
    /// # Errors
    /// When the queue is full or the log cannot be written. The event is lost, so what it tells of must not happen.
    pub fn record(&self, event: &Event<'_>) -> Result<(), AuditError> {
        self.thread.queue.record(event)
    }

    /// Waits until everything recorded so far is on disk.
    ///
    /// # Errors
    /// When the log cannot be written, or not within ten seconds.
    pub fn flush(&self) -> Result<(), AuditError> {
        self.thread.queue.flush(PATIENCE)
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
        {
            tracing::error!("the audit log's thread has panicked");
        }
    }
}

/// Appends one event, and returns when it is on disk.
///
/// # Errors
/// When the log cannot be written.
pub fn append(home: &Home, clock: &dyn Clock, event: &Event<'_>) -> Result<(), AuditError> {
    let mut line = Vec::with_capacity(512);
    line::Formatter::default().append(clock.since_epoch(), event, &mut line);
    let mut file = LogFile::open(home, ROTATE_AT)?;
    file.write(&mut line)?;
    file.sync()
}

/// The last `count` events of a home, oldest first.
///
/// # Errors
/// When the log cannot be read.
pub fn last(home: &Home, count: usize) -> Result<Vec<Value>, AuditError> {
    log_file::last(home, count)
}

#[cfg(test)]
mod tests;
