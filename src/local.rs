//! Pages on loopback that a login shows its person, and the redirect of an authorization server.
//!
//! [`form`] asks for what must be typed in, [`callback`] waits for one redirect (RFC 8252, 7.3); both stand on
//! [`server`], which answers only its own origin and lives as long as one login. All calls block, and need no runtime
//! around them. [`browser`] opens a page.

pub(crate) mod browser;
pub(crate) mod callback;
mod encoding;
pub(crate) mod form;
mod listening;
mod page;
mod server;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) use callback::{Arrived, Callback, CallbackAddress};
pub(crate) use form::{Bridge, Form, FormKind, Submission};
pub(crate) use listening::Loopback;

/// How often a wait looks whether it was cancelled.
const GLANCE: Duration = Duration::from_millis(50);

/// Why a page did not bring what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// The time is over.
    #[error("nobody answered in time")]
    TimedOut,
    /// The person gave up: by the page's button, or as the caller noticed.
    #[error("cancelled")]
    Cancelled,
    /// Another process has the port, and kept it.
    #[error("port {0} is in use by another program")]
    PortTaken(u16),
    /// No socket on loopback.
    #[error("cannot listen on {0}")]
    Bind(SocketAddr, #[source] io::Error),
    /// No thread or runtime for the server, or it ended.
    #[error("the local page cannot be served")]
    Serve(#[source] io::Error),
    /// The system gives no random numbers.
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
}

/// How long to wait.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    /// Not beyond this.
    pub(crate) deadline: Instant,
    /// Asked every 50 ms; true ends the wait.
    pub(crate) cancelled: &'a dyn Fn() -> bool,
}

impl Patience<'_> {
    /// Waits for nothing but the end of patience.
    pub(crate) fn passed<T>(&self) -> Result<T, LocalError> {
        loop {
            std::thread::sleep(self.glance()?);
        }
    }

    /// How long to wait before the next look.
    fn glance(&self) -> Result<Duration, LocalError> {
        if (self.cancelled)() {
            return Err(LocalError::Cancelled);
        }
        match self.deadline.checked_duration_since(Instant::now()) {
            None | Some(Duration::ZERO) => Err(LocalError::TimedOut),
            Some(left) => Ok(left.min(GLANCE)),
        }
    }
}

/// Which connection a page is about.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The provider, as people call it.
    pub(crate) display_name: String,
    /// The provider's name.
    pub(crate) provider: String,
    /// The connection's name.
    pub(crate) connection: String,
}

/// What came of it; the page that the person sees last.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// The connection works.
    Stored {
        /// Whose account it is, where the provider tells.
        account: Option<String>,
        /// Where the credential goes from now on.
        hosts: Vec<String>,
    },
    /// The person, or the provider, said no.
    Denied,
    /// It went wrong.
    Failed {
        /// Why, without a secret.
        reason: String,
        /// Whether a form is shown again; a callback is over.
        again: bool,
    },
    /// The person goes on at another page: that of the authorization server. The URL is http or https.
    Continue {
        /// Where.
        url: String,
    },
}
