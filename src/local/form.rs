//! The page that asks a person for a key, or for an OAuth client.
//!
//! Its URL holds a one-time token of 256 bits. A browser gets the URL as an argument, where other processes of this
//! machine can read it: so the first request alone is given the page, and with it a cookie that every further one must
//! bring. Whoever comes second sees that somebody was there.

mod reading;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use authsome_providers::FieldSpec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::listening;
use super::page::{self, Given};
use super::server::{Answer, Asked, Reply, Server, Site};
use super::{LocalError, Outcome, Patience, Subject};
use crate::secret::Secret;

const PATH: &str = "/login/";
const COOKIE_NAME: &str = "authsome";

/// What a form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FormKind {
    /// A key, or whatever else is sent to the provider.
    ApiKey,
    /// The id and secret of a registered application.
    OAuthClient,
    /// A yes alone: there are no fields.
    Consent,
}

/// What the page asks a person for, and says about it.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) subject: Subject,
    pub(crate) kind: FormKind,
    /// Who will receive what is typed in.
    pub(crate) hosts: Vec<String>,
    /// What is stored and where, as a sentence.
    pub(crate) stores: String,
    /// Where a key or an application is made. Shown when it is https.
    pub(crate) docs: Option<String>,
    /// The redirect URI that the application must be registered with.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) fields: Vec<FieldSpec>,
    /// Whether a program inside a run asks for it.
    pub(crate) asked_by_agent: bool,
}

type Values = BTreeMap<String, Secret<String>>;

/// The page, served.
pub(crate) struct Bridge {
    server: Arc<Server>,
    site: Arc<FormSite>,
    url: String,
    posted: Receiver<Posted>,
}

impl Bridge {
    /// Serves a form on a port of its own. It can be opened once.
    ///
    /// # Errors
    /// When no socket, thread or random numbers can be had.
    pub(crate) fn open(form: Form) -> Result<Self, LocalError> {
        let listening = listening::anywhere()?;
        let authority = format!("127.0.0.1:{}", listening.port);
        let (sender, posted) = sync_channel(1);
        let token = random()?;
        let url = format!("http://{authority}{PATH}{}", token.expose());
        let site = Arc::new(FormSite {
            form,
            token,
            cookie: random()?,
            opened: AtomicBool::new(false),
            phase: Mutex::new(Phase::Open),
            sender,
        });
        let server = Arc::new(Server::start(listening, authority, Arc::clone(&site) as _)?);
        Ok(Self { server, site, url, posted })
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits for a complete and well-formed answer. The person's browser then waits for
    /// [`finish`](Submission::finish).
    ///
    /// # Errors
    /// [`LocalError::TimedOut`], and [`LocalError::Cancelled`] when the person or the caller gave up.
    pub(crate) fn wait(&self, patience: Patience<'_>) -> Result<Submission, LocalError> {
        loop {
            match self.posted.recv_timeout(patience.glance()?) {
                Ok(Posted::Values(values, reply)) => {
                    let (server, site) = (Arc::clone(&self.server), Arc::clone(&self.site));
                    return Ok(Submission { values, reply, server, site });
                }
                Ok(Posted::Cancel) => {
                    self.server.farewell();
                    return Err(LocalError::Cancelled);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The site lives as long as this value, and with it the sender.
                Err(RecvTimeoutError::Disconnected) => return Err(LocalError::TimedOut),
            }
        }
    }
}

/// What a person sent, every value checked. Its browser waits.
pub(crate) struct Submission {
    /// The values of all fields; an optional one may be empty.
    pub(crate) values: Values,
    reply: oneshot::Sender<Reply>,
    server: Arc<Server>,
    site: Arc<FormSite>,
}

impl Submission {
    /// Shows the person what came of it. Returns when the page has been sent, after 5 s at most. After a failure that
    /// may be tried `again`, the form is there again and can be waited for; after anything else the server ends.
    pub(crate) fn finish(self, outcome: &Outcome) {
        let Self { values, reply, server, site } = self;
        let again = match outcome {
            Outcome::Failed { reason, again: true } => Some(reason.clone()),
            _ => None,
        };
        let reply_page = match again {
            Some(reason) => {
                let given = Given { failure: Some(reason), ..site.kept(&values) };
                Reply::new(StatusCode::UNPROCESSABLE_ENTITY, page::form(&site.form, &given))
            }
            None => Reply::new(StatusCode::OK, page::outcome(&site.form.subject, outcome)).last(),
        };
        let last = reply_page.last;
        // A browser that went away misses nothing but the page.
        if reply.send(reply_page).is_ok() && last {
            server.farewell();
        }
    }
}

enum Posted {
    Values(Values, oneshot::Sender<Reply>),
    Cancel,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The form can be sent.
    Open,
    /// It was sent, and the browser waits.
    Sent,
    /// It is over.
    Over,
}

struct FormSite {
    form: Form,
    token: Secret<String>,
    cookie: Secret<String>,
    opened: AtomicBool,
    phase: Mutex<Phase>,
    sender: SyncSender<Posted>,
}

impl Site for FormSite {
    fn answer(self: Arc<Self>, asked: Asked) -> Answer {
        Box::pin(async move {
            let token = asked.path.strip_prefix(PATH).unwrap_or_default();
            if !self.token.matches(token.as_bytes()) {
                return Reply::new(StatusCode::NOT_FOUND, page::refused());
            }
            let known = self.is_known(&asked.headers);
            match asked.method {
                Method::GET => self.show(known),
                _ if known => self.take(&asked).await,
                _ => Reply::new(StatusCode::FORBIDDEN, page::used()),
            }
        })
    }
}

impl FormSite {
    fn show(&self, known: bool) -> Reply {
        if self.phase() != Phase::Open || (!known && self.opened.swap(true, Ordering::Relaxed)) {
            return Reply::new(StatusCode::GONE, page::used());
        }
        let mut reply = Reply::new(StatusCode::OK, page::form(&self.form, &Given::default()));
        if !known {
            let (cookie, token) = (self.cookie.expose(), self.token.expose());
            let text = format!("{COOKIE_NAME}={cookie}; Path={PATH}{token}; HttpOnly; SameSite=Strict");
            reply.cookie = HeaderValue::from_str(&text).ok();
        }
        reply
    }

    fn is_known(&self, headers: &HeaderMap) -> bool {
        let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies =
            texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        cookies.any(|(name, value)| name == COOKIE_NAME && self.cookie.matches(value.as_bytes()))
    }

    async fn take(&self, asked: &Asked) -> Reply {
        let values = match self.read(asked) {
            Ok(Some(values)) => values,
            Ok(None) => return self.cancel(),
            Err(reply) => return reply,
        };
        if !self.advance(Phase::Open, Phase::Sent) {
            return Reply::new(StatusCode::GONE, page::used());
        }
        let (reply, answer) = oneshot::channel();
        let sent = self.sender.try_send(Posted::Values(values, reply)).is_ok();
        let answer = if sent { answer.await.ok() } else { None };
        let reply = answer.unwrap_or_else(|| {
            let reason = "authsome ended before it was done".to_owned();
            let outcome = Outcome::Failed { reason, again: false };
            Reply::new(StatusCode::OK, page::outcome(&self.form.subject, &outcome)).last()
        });
        self.advance(Phase::Sent, if reply.last { Phase::Over } else { Phase::Open });
        reply
    }

    fn cancel(&self) -> Reply {
        if !self.advance(Phase::Open, Phase::Over) || self.sender.try_send(Posted::Cancel).is_err() {
            return Reply::new(StatusCode::GONE, page::used());
        }
        Reply::new(StatusCode::OK, page::cancelled(&self.form.subject)).last()
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, from: Phase, to: Phase) -> bool {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let was = *phase == from;
        if was {
            *phase = to;
        }
        was
    }
}

/// 256 random bits as text for a URL.
fn random() -> Result<Secret<String>, LocalError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

#[cfg(test)]
mod tests;
