//! Waiting for a person: for the answer of a browser, pasted or not, or for a code that is entered elsewhere.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::auth::{self, Challenge, LoggedIn, LoginSession, Progress};
use crate::local::{Arrived, Callback, LocalError, Outcome, Patience};
use crate::secret::Secret;

use super::super::failure::Failure;
use super::super::interrupt::Interrupt;
use super::oauth::Request;
use super::page::{self, Window};
use super::paste::Paste;
use super::{device, stored};

/// How often a wait looks whether it was cancelled.
const GLANCE: Duration = Duration::from_millis(50);

/// A wait for a person, who may also give up.
pub(super) struct Waiting<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) interrupt: &'a Interrupt,
    pub(super) deadline: Instant,
}

impl Waiting<'_> {
    /// Waits for the answer of a browser, or until a code was entered on another device.
    pub(super) fn for_person(
        &self,
        session: LoginSession,
        callback: Option<Callback>,
        had_page: bool,
    ) -> Result<Box<LoggedIn>, Failure> {
        match session.challenge() {
            Challenge::Device { .. } => self.for_device(session),
            _ => self.for_browser(session, callback, had_page),
        }
    }

    fn for_browser(
        &self,
        mut session: LoginSession,
        callback: Option<Callback>,
        had_page: bool,
    ) -> Result<Box<LoggedIn>, Failure> {
        let Challenge::Browser { url, .. } = session.challenge() else {
            return Err(auth::Error::InputCancelled.into());
        };
        let shown = had_page || self.show(url);
        let is_pasted = callback.is_none() || !shown;
        self.tell(url, is_pasted);
        let paste = is_pasted.then(Paste::begin);
        let (answer, arrived) = self.answer(&session, callback.as_ref(), paste.as_ref())?;
        drop(paste);
        let outcome = self.request.auth.resume_login(&mut session, Some(answer.expose()));
        if let Some(arrived) = arrived {
            arrived.finish(&match &outcome {
                Ok(Progress::Connected(made)) => stored(&made.connection),
                Err(error) if is_denial(error) => Outcome::Denied,
                Err(error) => Outcome::Failed { reason: error.to_string(), again: false },
                Ok(_) => Outcome::Denied,
            });
        }
        match outcome? {
            Progress::Connected(made) => Ok(made),
            _ => Err(auth::Error::InputCancelled.into()),
        }
    }

    /// Opens the URL in a browser; says whether one was started.
    fn show(&self, url: &str) -> bool {
        let Some(window) = Window::of(self.request.desk, self.request.args) else { return false };
        match window.open(url) {
            Ok(()) => true,
            Err(error) => {
                let error = anyhow::Error::from(error);
                self.request.desk.output.note(&format!("no page can be shown: {error:#}"));
                false
            }
        }
    }

    fn tell(&self, url: &str, is_pasted: bool) {
        let output = self.request.desk.output;
        let left = self.deadline.saturating_duration_since(Instant::now()).as_secs();
        let agent = self.request.desk.is_inside_run();
        match (output.is_json(), agent, is_pasted) {
            (true, true, _) => output.step(&json!({"status": "pending", "expires_in": left})),
            (true, ..) => output.step(&json!({"status": "pending", "auth_url": url, "expires_in": left})),
            (_, true, _) => output.say("your human is asked in the browser"),
            (_, _, false) => output.show(&format!("agree in your browser; if no page appears, open\n\n  {url}\n")),
            (_, _, true) => output.show(&format!(
                "open this in a browser, and agree:\n\n  {url}\n\nIf the browser is on another machine, it ends at a page that it cannot open: paste the address of that page here."
            )),
        }
    }

    /// The first answer that belongs to this login, by the browser or by the person's hand.
    fn answer(
        &self,
        session: &LoginSession,
        callback: Option<&Callback>,
        paste: Option<&Paste>,
    ) -> Result<(Secret<String>, Option<Arrived>), Failure> {
        loop {
            if let Some(text) = paste.and_then(Paste::taken) {
                let text = text?;
                if session.is_answered_by(text.expose()) {
                    return Ok((text, None));
                }
                self.request
                    .desk
                    .output
                    .warn("that is not the answer to this login: paste the whole address");
            }
            let pasted = || paste.is_some_and(Paste::has_come);
            let cancelled = || self.interrupt.happened() || pasted();
            let patience = Patience { deadline: self.deadline, cancelled: &cancelled };
            let arrived = match callback {
                Some(callback) => callback.wait(patience, &|query| session.is_answered_by(query)),
                None => patience.passed(),
            };
            match arrived {
                Ok(arrived) => return Ok((arrived.query.clone(), Some(arrived))),
                Err(LocalError::Cancelled) if pasted() => {}
                Err(error) => return Err(page::failure(session.provider(), error)),
            }
        }
    }

    /// Asks as often as the server allows, until the person has agreed.
    fn for_device(&self, mut session: LoginSession) -> Result<Box<LoggedIn>, Failure> {
        device::show(self.request.desk.output, &session.challenge());
        let Challenge::Device { mut interval, .. } = session.challenge() else {
            return Err(auth::Error::InputCancelled.into());
        };
        loop {
            let next = Instant::now() + interval;
            while Instant::now() < next {
                if self.interrupt.happened() || Instant::now() >= self.deadline {
                    return Err(auth::Error::InputCancelled.into());
                }
                std::thread::sleep(GLANCE);
            }
            match self.request.auth.resume_login(&mut session, None)? {
                Progress::Connected(made) => return Ok(made),
                Progress::Pending(pause) => interval = pause,
            }
        }
    }
}

fn is_denial(error: &auth::Error) -> bool {
    matches!(error, auth::Error::AuthenticationFailed { reason, .. } if reason == auth::DENIED)
}
