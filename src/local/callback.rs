//! The redirect of an authorization server to loopback (RFC 8252, 7.3).
//!
//! Everybody on this machine can send a request here. Only one that the caller recognises ends the wait, and only once;
//! a stray or hostile one is told that it is not expected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

use http::{Method, StatusCode};
use tokio::sync::oneshot;

use super::listening::{self, Loopback};
use super::page;
use super::server::{Answer, Asked, Reply, Server, Site};
use super::{LocalError, Outcome, Patience, Subject, encoding};
use crate::secret::Secret;

/// So many redirects wait to be looked at.
const QUEUE: usize = 8;

/// Where redirects arrive, as it stands in the redirect URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallbackAddress {
    pub(crate) host: Loopback,
    /// 0 is a port that the system chooses.
    pub(crate) port: u16,
    /// With its `/`.
    pub(crate) path: String,
}

/// What an authorization server says (RFC 6749, 4.1.2; RFC 9207). Nothing of it is checked.
#[derive(Debug, Default)]
pub(crate) struct CallbackParams {
    pub(crate) code: Option<Secret<String>>,
    pub(crate) state: Option<Secret<String>>,
    pub(crate) iss: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_description: Option<String>,
}

impl CallbackParams {
    /// Reads the query of a redirect, also of one that a person pasted. `None` when it is malformed, or one of the
    /// parameters stands there twice (RFC 6749, 3.1).
    pub(crate) fn parse(query: &str) -> Option<Self> {
        let mut params = Self::default();
        for (name, value) in encoding::pairs(query.as_bytes())? {
            let doubled = match name.as_str() {
                "code" => params.code.replace(value.as_str().into()).is_some(),
                "state" => params.state.replace(value.as_str().into()).is_some(),
                "iss" => params.iss.replace(value.to_string()).is_some(),
                "error" => params.error.replace(value.to_string()).is_some(),
                "error_description" => params.error_description.replace(value.to_string()).is_some(),
                _ => false,
            };
            if doubled {
                return None;
            }
        }
        Some(params)
    }
}

/// What the caller makes of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the one that was waited for, good or bad.
    Accept,
    /// It belongs to something else: the wait goes on.
    Mismatch,
}

/// A port that redirects arrive at.
pub(crate) struct Callback {
    server: Arc<Server>,
    site: Arc<CallbackSite>,
    redirect_uri: String,
    knocks: Receiver<Knock>,
}

impl Callback {
    /// Takes the port. While another process has it, `waiting` is told once, and this one waits.
    ///
    /// # Errors
    /// [`LocalError::PortTaken`] when it was never free, [`LocalError::Cancelled`], or when it cannot be listened on.
    pub(crate) fn bind(
        address: &CallbackAddress,
        subject: Subject,
        patience: Patience<'_>,
        waiting: &mut dyn FnMut(),
    ) -> Result<Self, LocalError> {
        let listening = listening::on(address.host, address.port, patience, waiting)?;
        let authority = format!("{}:{}", address.host.host(), listening.port);
        let redirect_uri = format!("http://{authority}{}", address.path);
        let (sender, knocks) = sync_channel(QUEUE);
        let (path, answered) = (address.path.clone(), AtomicBool::new(false));
        let site = Arc::new(CallbackSite { path, subject, answered, sender });
        let server = Arc::new(Server::start(listening, authority, Arc::clone(&site) as _)?);
        Ok(Self { server, site, redirect_uri, knocks })
    }

    /// The redirect URI, to the letter.
    pub(crate) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits for the redirect that `check` accepts; its browser then waits for [`finish`](Arrived::finish). All others
    /// get a page that says so.
    ///
    /// # Errors
    /// [`LocalError::TimedOut`] and [`LocalError::Cancelled`].
    pub(crate) fn wait(
        &self,
        patience: Patience<'_>,
        check: &dyn Fn(&CallbackParams) -> Verdict,
    ) -> Result<Arrived, LocalError> {
        loop {
            let knock = match self.knocks.recv_timeout(patience.glance()?) {
                Ok(knock) => knock,
                Err(RecvTimeoutError::Timeout) => continue,
                // The site lives as long as this value, and with it the sender.
                Err(RecvTimeoutError::Disconnected) => return Err(LocalError::TimedOut),
            };
            if check(&knock.params) == Verdict::Accept && !self.site.answered.swap(true, Ordering::Relaxed) {
                for late in self.knocks.try_iter() {
                    // A browser that went away misses nothing but the page.
                    let _ = late.reply.send(Reply::new(StatusCode::GONE, page::used()));
                }
                let (server, site) = (Arc::clone(&self.server), Arc::clone(&self.site));
                return Ok(Arrived { params: knock.params, reply: knock.reply, server, site });
            }
            // A browser that went away misses nothing but the page.
            let _ = knock.reply.send(Reply::new(StatusCode::BAD_REQUEST, page::mismatch()));
        }
    }
}

/// The redirect that was waited for. Its browser waits.
pub(crate) struct Arrived {
    pub(crate) params: CallbackParams,
    reply: oneshot::Sender<Reply>,
    server: Arc<Server>,
    site: Arc<CallbackSite>,
}

impl Arrived {
    /// Shows the person what came of it, and ends the server. Returns when the page has been sent, after 5 s at most.
    pub(crate) fn finish(self, outcome: &Outcome) {
        let page = page::outcome(&self.site.subject, outcome);
        if self.reply.send(Reply::new(StatusCode::OK, page).last()).is_ok() {
            self.server.farewell();
        }
    }
}

struct Knock {
    params: CallbackParams,
    reply: oneshot::Sender<Reply>,
}

struct CallbackSite {
    path: String,
    subject: Subject,
    /// Whether the one redirect has come.
    answered: AtomicBool,
    sender: SyncSender<Knock>,
}

impl Site for CallbackSite {
    fn answer(self: Arc<Self>, asked: Asked) -> Answer {
        Box::pin(async move {
            if asked.path != self.path {
                return Reply::new(StatusCode::NOT_FOUND, page::refused());
            }
            if asked.method != Method::GET {
                return Reply::new(StatusCode::METHOD_NOT_ALLOWED, page::refused());
            }
            if self.answered.load(Ordering::Relaxed) {
                return Reply::new(StatusCode::GONE, page::used());
            }
            let Some(params) = CallbackParams::parse(&asked.query) else {
                return Reply::new(StatusCode::BAD_REQUEST, page::mismatch());
            };
            let (reply, answer) = oneshot::channel();
            if self.sender.try_send(Knock { params, reply }).is_err() {
                return Reply::new(StatusCode::SERVICE_UNAVAILABLE, page::used());
            }
            answer.await.unwrap_or_else(|_| Reply::new(StatusCode::GONE, page::used()))
        })
    }
}

#[cfg(test)]
mod tests;
