//! Why a refresh failed.

use authsome_providers::OAuth;

use super::super::Error;
use super::super::authority::AuthorityError;
use super::super::flows::{self, FlowError, Tokens};
use super::super::record::ConnectionRecord;
use crate::clock;
use crate::secret::Secret;

/// Why a refresh failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RefreshError {
    /// The connection was ended meanwhile.
    #[error("it was ended meanwhile")]
    Gone,
    /// The last attempt failed a short while ago.
    #[error("the last attempt failed ({last}); the next one is made in {seconds} s")]
    Paused { seconds: i64, last: String },
    /// The attempt failed and is made again later.
    #[error("the attempt failed")]
    Attempt(#[source] Box<FlowError>),
    /// The server refuses the refresh token for good.
    #[error("{reason}; run: authsome login {provider} --connection {connection} --force")]
    Refused {
        reason: String,
        provider: String,
        connection: String,
        #[source]
        source: Box<FlowError>,
    },
    /// The token may not be sent anywhere.
    #[error(transparent)]
    Authority(Box<AuthorityError>),
    /// The vault cannot be read or written.
    #[error(transparent)]
    Store(Box<Error>),
}

impl RefreshError {
    pub(super) fn refused(record: &ConnectionRecord, source: FlowError, cut_off: Option<i64>) -> Self {
        let reason = match cut_off {
            _ if matches!(source, FlowError::Account) => source.to_string(),
            Some(then) => format!(
                "the refresh of {} was cut off before its answer was stored, and the old token is not taken any more",
                clock::rfc3339(then)
            ),
            None => "the provider does not take the refresh token any more".to_owned(),
        };
        Self::Refused {
            reason,
            provider: record.provider.clone(),
            connection: record.connection_name.clone(),
            source: Box::new(source),
        }
    }
}

impl From<AuthorityError> for RefreshError {
    fn from(error: AuthorityError) -> Self {
        Self::Authority(Box::new(error))
    }
}

impl From<Error> for RefreshError {
    fn from(error: Error) -> Self {
        Self::Store(Box::new(error))
    }
}

/// Whether tokens are about somebody else than the record: by their ID tokens, or by what the answer says of the account
/// where the definition knows the place.
pub(super) fn is_another(record: &ConnectionRecord, tokens: &Tokens, settings: &OAuth) -> bool {
    let differ = |before: Option<String>, now: Option<String>| matches!((before, now), (Some(one), Some(other)) if one != other);
    let told = settings.account.as_ref().filter(|account| account.url.is_none());
    let account = told.and_then(|account| flows::account_in(&tokens.rest, (&account.id, None)).id);
    let subject = |token: &Option<Secret<String>>| token.as_ref().and_then(flows::subject);
    differ(subject(&record.id_token), subject(&tokens.id_token)) || differ(record.account.id.clone(), account)
}

/// Whether a refresh token will never do again: by RFC 6749 5.2, or by a code of the server's own.
pub(super) fn is_final(error: &FlowError, own: &[String]) -> bool {
    error.code().is_some_and(|code| code == "invalid_grant" || own.iter().any(|known| known == code))
}

/// What is said of a connection whose refresh token was refused for good.
#[derive(Debug, thiserror::Error)]
#[error(
    "the provider does not take its refresh token any more; run: authsome login {provider} --connection {connection} --force"
)]
pub(super) struct Rejected {
    pub(super) provider: String,
    pub(super) connection: String,
}
