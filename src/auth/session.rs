//! Logging in by a flow: a [`LoginSession`] stands between what is shown to a person and what comes back.
//!
//! Nothing is stored before the flow has ended well, but a client that registered itself: an earlier connection stays
//! usable whatever happens.

mod begin;
mod complete;

pub(super) use complete::repeat;

use std::fmt;
use std::time::Duration;

use authsome_providers::FlowType;

use super::authority::Authority;
use super::flows::{self, AuthorizationRequest, DeviceAuthorization, OAuthClient, Poll, Redirected};
use super::record::{ClientRecord, ConnectionRecord};
use super::{AuthService, Connection, Error};

/// The field of the token that is to be exchanged (RFC 8693 2.1).
const SUBJECT_TOKEN: &str = "subject_token";

/// A login that has begun.
pub struct LoginSession {
    flow: FlowType,
    /// What will be stored, still without a credential.
    draft: ConnectionRecord,
    authority: Authority,
    client: OAuthClient,
    /// Stored together with the connection.
    new_client: Option<ClientRecord>,
    scopes: Vec<String>,
    force: bool,
    step: Step,
}

enum Step {
    Browser(AuthorizationRequest),
    Device(DeviceAuthorization),
    /// Nobody is asked anything.
    Nobody,
}

/// What a person has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Challenge<'a> {
    /// Open a URL in a browser. Its answer comes to the redirect URI.
    Browser {
        /// Where to go. It holds no secret but the `state` of this login.
        url: &'a str,
        /// Where the browser comes back to (RFC 8252 7.3).
        redirect_uri: &'a str,
    },
    /// Enter a code on a page, on any device (RFC 8628 3.3).
    Device {
        /// The page.
        verification_uri: &'a str,
        /// The page with the code in it.
        verification_uri_complete: Option<&'a str>,
        /// The code.
        user_code: &'a str,
        /// How long the code is good for.
        expires_in: Duration,
        /// How long to wait between two questions.
        interval: Duration,
    },
    /// Nothing.
    Nothing,
}

/// How far a login is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress {
    /// The connection is stored.
    Connected(Box<LoggedIn>),
    /// The person has not answered yet; ask again after this time.
    Pending(Duration),
}

/// A connection that was made.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoggedIn {
    /// The connection.
    pub connection: Connection,
    /// What is not as it was asked for, one sentence each.
    pub warnings: Vec<String>,
}

impl fmt::Debug for LoginSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginSession({} {:?})", self.draft.provider, self.flow)
    }
}

impl LoginSession {
    /// The provider's name.
    pub fn provider(&self) -> &str {
        &self.draft.provider
    }

    /// What the connection will be called.
    pub fn connection(&self) -> &str {
        &self.draft.connection_name
    }

    /// The flow.
    pub fn flow(&self) -> FlowType {
        self.flow
    }

    /// What a person has to do.
    pub fn challenge(&self) -> Challenge<'_> {
        match &self.step {
            Step::Browser(request) => {
                Challenge::Browser { url: &request.url, redirect_uri: &request.redirect_uri }
            }
            Step::Device(device) => Challenge::Device {
                verification_uri: &device.verification_uri,
                verification_uri_complete: device.verification_uri_complete.as_deref(),
                user_code: &device.user_code,
                expires_in: device.expires_in,
                interval: device.interval,
            },
            Step::Nobody => Challenge::Nothing,
        }
    }

    /// Whether an answer of a browser, a URL or its query, belongs to this login. One that does not is no reason to end it.
    pub fn is_answered_by(&self, answer: &str) -> bool {
        let Step::Browser(request) = &self.step else { return false };
        Redirected::parse(answer).is_ok_and(|redirected| request.is_answered_by(&redirected))
    }
}

impl AuthService {
    /// Goes on with a login: `answer` is the URL that the browser came back to, or its query; the other flows take none.
    /// Contacts the authorization server.
    ///
    /// # Errors
    /// [`Error::AuthenticationFailed`] when the person or the server refuses, the answer belongs to another login, or
    /// the server cannot be reached; or when the vault cannot be written. Nothing has changed then.
    pub fn resume_login(&self, session: &mut LoginSession, answer: Option<&str>) -> Result<Progress, Error> {
        let failed = |error| Error::flow(&session.draft.provider, &error);
        let server = session.authority.server(self.network(), self.clock());
        let tokens = match &mut session.step {
            Step::Browser(request) => {
                let redirected = Redirected::parse(answer.unwrap_or_default()).map_err(failed)?;
                flows::exchange(server, &session.client, request, redirected).map_err(failed)?
            }
            Step::Device(device) => {
                match flows::poll_device(server, &session.client, device).map_err(failed)? {
                    Poll::Done(tokens) => *tokens,
                    Poll::Pending => return Ok(Progress::Pending(device.interval)),
                    Poll::SlowDown => {
                        device.interval += flows::SLOW_DOWN;
                        return Ok(Progress::Pending(device.interval));
                    }
                }
            }
            Step::Nobody => self.without_a_person(session)?,
        };
        self.complete(session, tokens).map(|made| Progress::Connected(Box::new(made)))
    }
}

#[cfg(test)]
pub(super) mod tests;
