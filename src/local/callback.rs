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
use super::{LocalError, Outcome, Patience, Subject};
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

/// A port that redirects arrive at.
pub(crate) struct Callback {
    server: Arc<Server>,
    site: Arc<CallbackSite>,
    knocks: Receiver<Knock>,
    /// For tests, which let the system choose.
    #[cfg(test)]
    port: u16,
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
        #[cfg(test)]
        let port = listening.port;
        let authority = format!("{}:{}", address.host.host(), listening.port);
        let (sender, knocks) = sync_channel(QUEUE);
        let (path, answered) = (address.path.clone(), AtomicBool::new(false));
        let site = Arc::new(CallbackSite { path, subject, answered, sender });
        let server = Arc::new(Server::start(listening, authority, Arc::clone(&site) as _)?);
        Ok(Self {
            server,
            site,
            knocks,
            #[cfg(test)]
            port,
        })
    }

    /// Waits for the redirect whose query `check` accepts; its browser then waits for [`finish`](Arrived::finish). All others
    /// get a page that says so.
    ///
    /// # Errors
    /// [`LocalError::TimedOut`] and [`LocalError::Cancelled`].
    pub(crate) fn wait(
        &self,
        patience: Patience<'_>,
        check: &dyn Fn(&str) -> bool,
    ) -> Result<Arrived, LocalError> {
        loop {
            let knock = match self.knocks.recv_timeout(patience.glance()?) {
                Ok(knock) => knock,
                Err(RecvTimeoutError::Timeout) => continue,
                // The site lives as long as this value, and with it the sender.
                Err(RecvTimeoutError::Disconnected) => return Err(LocalError::TimedOut),
            };
            if check(knock.query.expose()) && !self.site.answered.swap(true, Ordering::Relaxed) {
                for late in self.knocks.try_iter() {
                    // A browser that went away misses nothing but the page.
                    let _ = late.reply.send(Reply::new(StatusCode::GONE, page::used()));
                }
                let (server, site) = (Arc::clone(&self.server), Arc::clone(&self.site));
                return Ok(Arrived { query: knock.query, reply: knock.reply, server, site });
            }
            // A browser that went away misses nothing but the page.
            let _ = knock.reply.send(Reply::new(StatusCode::BAD_REQUEST, page::mismatch()));
        }
    }
}

/// The redirect that was waited for. Its browser waits.
pub(crate) struct Arrived {
    /// What the authorization server says (RFC 6749, 4.1.2), as it came.
    pub(crate) query: Secret<String>,
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
    query: Secret<String>,
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
            let query = Secret::from(asked.query.as_str());
            let (reply, answer) = oneshot::channel();
            if self.sender.try_send(Knock { query, reply }).is_err() {
                return Reply::new(StatusCode::SERVICE_UNAVAILABLE, page::used());
            }
            answer.await.unwrap_or_else(|_| Reply::new(StatusCode::GONE, page::used()))
        })
    }
}

#[cfg(test)]
mod tests;
