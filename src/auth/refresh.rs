//! Renewing access tokens: one refresh at a time per connection, also across processes, and no rotated token lost.
//!
//! Under the connection's lock the record is read again, the intent is written, the token endpoint asked once, and the
//! answer committed before anybody uses it. A process that dies in between leaves the old record or the new one, and
//! the intent, which tells the next one what a refusal then means.

mod failure;
mod schedule;
mod state;

use std::time::Duration;

use super::flows::{self, FlowError, Tokens};
use super::record::{ConnectionRecord, ConnectionStatus, RefreshState, encode};
use super::session::repeat;
use super::{AuthService, Connection, Error, authority};
use crate::home::files::FileLock;
use crate::vault::{BackendError, Change, Expected, VaultError};
use failure::RefreshError;
pub(crate) use schedule::Timing;

/// How long one process waits for another one's refresh.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// After a 401, a token younger than this is not renewed, in seconds: the refusal has another reason.
const TOO_YOUNG: i64 = 60;
/// A commit that fails is tried again so often, so far apart: what it holds cannot be had a second time.
const COMMITS: u32 = 5;
const COMMIT_PAUSE: Duration = Duration::from_millis(400);

/// When a token is to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Renewal {
    /// When it ends within the window (300 s unless configured, or the last tenth of its lifetime if that is shorter).
    WhenDue,
    /// At once, because the provider refused it, unless somebody has replaced this version of the record since.
    Refused {
        /// The version whose token was refused.
        version: i64,
    },
}

impl AuthService {
    /// A connection whose credential can be used now, renewed where that is due. Contacts the token endpoint at most
    /// once; may wait up to 60 s for another process that does. A token that is still good is returned although it
    /// cannot be renewed.
    ///
    /// # Errors
    /// [`Error::RefreshFailed`] when it has ended and cannot be renewed now, or its provider refuses it for good;
    /// [`Error::TokenExpired`] when it has ended and cannot be renewed at all; or when there is no such connection.
    pub fn renewed(
        &self,
        provider: &str,
        connection: Option<&str>,
        renewal: Renewal,
    ) -> Result<Connection, Error> {
        let found = self.connection(provider, connection)?;
        if !self.is_due(&found, renewal) {
            return self.if_usable(found);
        }
        let name = found.record.connection_name.clone();
        let lock = match self.profile().lock_connection(provider, &name, PATIENCE) {
            Ok(lock) => lock,
            Err(error) => return self.or_still_good(found, error.into()),
        };
        let found = self.connection(provider, Some(&name))?;
        if !self.is_due(&found, renewal) {
            return self.if_usable(found);
        }
        let outcome = self.refresh(&found, &lock);
        self.observe(&found.record, &outcome);
        match outcome {
            Ok(renewed) => Ok(renewed),
            Err(RefreshError::Gone) => Err(self.missing(provider, Some(&name))?),
            Err(RefreshError::Store(error)) => self.or_still_good(found, *error),
            Err(error) => {
                tracing::warn!(provider, connection = name, %error, "refresh failed");
                // What the refusal has made of the record counts, not how it was before.
                let found = self.connection(provider, Some(&name))?;
                let source = error.into();
                let error = Error::RefreshFailed { provider: provider.into(), connection: name, source };
                self.or_still_good(found, error)
            }
        }
    }

    /// A pause that goes on is no refresh.
    fn observe(&self, record: &ConnectionRecord, outcome: &Result<Connection, RefreshError>) {
        let Some(observer) = &self.observer else { return };
        match outcome {
            Err(RefreshError::Paused { .. }) => {}
            Ok(_) => observer(record, None),
            Err(error) => observer(record, Some(&super::error::chain(error))),
        }
    }

    /// When a record should be renewed, in Unix seconds; `None` when it cannot be or need not be.
    pub(crate) fn due_at(&self, record: &ConnectionRecord) -> Option<i64> {
        record.is_renewable().then(|| self.timing().due_at(record)).flatten()
    }

    fn timing(&self) -> Timing {
        Timing { window: self.refresh_window }
    }

    fn is_due(&self, connection: &Connection, renewal: Renewal) -> bool {
        let (record, now) = (&connection.record, self.now());
        match renewal {
            Renewal::WhenDue => self.due_at(record).is_some_and(|at| at <= now),
            Renewal::Refused { version } => {
                let age = record.obtained_at.map_or(i64::MAX, |then| now.saturating_sub(then));
                // A clock that was set back makes ages negative, which are no youth.
                let young = (0..TOO_YOUNG).contains(&age);
                record.is_renewable() && connection.version == Some(version) && !young
            }
        }
    }

    /// A connection that can be used as it is.
    fn if_usable(&self, found: Connection) -> Result<Connection, Error> {
        let (provider, connection) = (found.record.provider.clone(), found.record.connection_name.clone());
        match found.record.status_at(self.now()) {
            ConnectionStatus::Connected => Ok(found),
            ConnectionStatus::Expired => Err(Error::TokenExpired { provider, connection }),
            ConnectionStatus::Invalid => {
                let source = failure::Rejected { provider: provider.clone(), connection: connection.clone() };
                Err(Error::RefreshFailed { provider, connection, source: source.into() })
            }
            _ => Err(Error::CredentialMissing { provider }),
        }
    }

    fn or_still_good(&self, connection: Connection, error: Error) -> Result<Connection, Error> {
        match connection.record.status_at(self.now()) {
            ConnectionStatus::Connected => Ok(connection),
            _ => Err(error),
        }
    }

    /// One attempt, under the connection's lock.
    fn refresh(&self, found: &Connection, _lock: &FileLock) -> Result<Connection, RefreshError> {
        let record = &found.record;
        let state = self.refresh_state(&record.provider)?;
        let own = state.connections.get(&record.connection_name).cloned().unwrap_or_default();
        schedule::check_pause(&own, self.now())?;
        let (authority, client) = self.authority(record)?;
        let pending = RefreshState { pending_since: Some(self.now()), ..own.clone() };
        self.note(record, Some(pending), None)?;
        let server = authority.server(self.network(), self.clock());
        let answer = match &record.refresh_token {
            Some(token) => flows::refresh(server, &client, token),
            None => {
                repeat(server, flow_of(record), &client, record, record.scopes.as_deref().unwrap_or_default())
            }
        };
        match answer {
            Ok(tokens) if failure::is_another(record, &tokens, &authority.settings) => {
                Err(self.refused(found, &own, FlowError::Account)?)
            }
            Ok(tokens) => self.keep(found, tokens),
            Err(error) if failure::is_final(&error, &authority.settings.refresh_token_errors) => {
                Err(self.refused(found, &own, error)?)
            }
            Err(error) => {
                let after = schedule::after_failure(&own, &error, self.now());
                self.note(record, Some(after), Some(Err(&error)))?;
                Err(RefreshError::Attempt(Box::new(error)))
            }
        }
    }

    /// Commits an answer: over the record that was read, or over one that still holds the same refresh token. One that
    /// was ended or replaced meanwhile is not brought back.
    fn keep(&self, found: &Connection, tokens: Tokens) -> Result<Connection, RefreshError> {
        let spent = found.record.refresh_token.clone();
        let mut current = found.clone();
        loop {
            let mut record = current.record.clone();
            drop(self.take_tokens(&mut record, tokens.clone()));
            let Some(version) = current.version else { return Err(RefreshError::Gone) };
            match self.commit(&record, version) {
                Ok(version) => return Ok(Connection { record, version: Some(version), ..current }),
                Err(Error::StoreUnavailable(cause)) if is_conflict(&*cause) => {}
                Err(error) => return Err(error.into()),
            }
            current = match self.connection(&record.provider, Some(&record.connection_name)) {
                Ok(current) => current,
                Err(Error::ConnectionNotFound { .. } | Error::CredentialMissing { .. }) => {
                    return Err(RefreshError::Gone);
                }
                Err(error) => return Err(error.into()),
            };
            let same = |one: &Option<_>, other: &Option<_>| match (one, other) {
                (Some(one), Some(other)) => matches(one, other),
                (None, None) => true,
                _ => false,
            };
            if !same(&current.record.refresh_token, &spent) {
                return Ok(current);
            }
        }
    }

    fn commit(&self, record: &ConnectionRecord, version: i64) -> Result<i64, Error> {
        let key = self.keys().connection(&record.provider, &record.connection_name);
        let mut attempt = 1;
        loop {
            let change = Change::put(&key, encode(record)).expecting(Expected::Version(version));
            let outcome = self.note_with(record, None, Some(Ok(())), vec![change]);
            match outcome {
                Err(Error::StoreUnavailable(cause)) if attempt < COMMITS && !is_conflict(&*cause) => {
                    tracing::error!(%cause, attempt, "a renewed token cannot be stored yet");
                    std::thread::sleep(COMMIT_PAUSE * attempt);
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// A refresh token that the server refuses for good makes the connection invalid, unless somebody has replaced it.
    fn refused(
        &self,
        found: &Connection,
        before: &RefreshState,
        error: FlowError,
    ) -> Result<RefreshError, RefreshError> {
        let record = &found.record;
        let current = self.connection(&record.provider, Some(&record.connection_name));
        let current = current.map_err(|_| RefreshError::Gone)?;
        let (Some(version), true) = (current.version, current.version == found.version) else {
            return Ok(RefreshError::Attempt(Box::new(error)));
        };
        let invalid = ConnectionRecord { status: ConnectionStatus::Invalid, ..current.record };
        let key = self.keys().connection(&invalid.provider, &invalid.connection_name);
        let change = Change::put(key, encode(&invalid)).expecting(Expected::Version(version));
        let cut_off = before.pending_since;
        let own = RefreshState {
            error: Some(error.to_string()),
            failed_at: Some(self.now()),
            ..RefreshState::default()
        };
        self.note_with(&invalid, Some(own), Some(Err(&error)), vec![change])?;
        Ok(RefreshError::refused(&invalid, error, cut_off))
    }
}

/// The flow that a connection was made by, for those that need no refresh token.
fn flow_of(record: &ConnectionRecord) -> authsome_providers::FlowType {
    match record.metadata.get(authority::FLOW).and_then(|flow| flow.as_str()) {
        Some("token_exchange") => authsome_providers::FlowType::TokenExchange,
        _ => authsome_providers::FlowType::ClientCredentials,
    }
}

fn matches(one: &crate::secret::Secret<String>, other: &crate::secret::Secret<String>) -> bool {
    one.matches(other.expose().as_bytes())
}

/// Whether what lies behind a failed refresh can be mended by a new login alone.
pub(super) fn is_final(cause: &(dyn std::error::Error + 'static)) -> bool {
    let refused = matches!(cause.downcast_ref(), Some(RefreshError::Refused { .. }));
    refused || cause.is::<failure::Rejected>()
}

/// Whether a write found another version than it expected.
pub(super) fn is_conflict(cause: &(dyn std::error::Error + 'static)) -> bool {
    let found = std::iter::successors(Some(cause), |error| error.source());
    found.into_iter().any(|error| {
        matches!(error.downcast_ref(), Some(VaultError::Backend(BackendError::Conflict(_))))
            || matches!(error.downcast_ref(), Some(BackendError::Conflict(_)))
    })
}

#[cfg(test)]
mod tests;
