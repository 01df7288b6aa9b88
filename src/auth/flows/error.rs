//! Why a flow did not yield what was asked.

use std::time::Duration;

use super::super::token_endpoint::EndpointError;
use crate::secret::Secret;

/// No message of a server is shown beyond so many letters.
const MAX_TEXT: usize = 200;
const MAX_CODE: usize = 64;
/// A shorter text is found by chance.
const SHORTEST_SECRET: usize = 6;

/// What is said of a person's no.
pub(crate) const DENIED: &str = "access was denied";

/// Why an authorization server, or what came from it, is of no use. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlowError {
    /// There is no answer.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// An error by its code (RFC 6749 5.2, RFC 8628 3.5, RFC 7591 3.2.2).
    #[error("the authorization server says {code}{}", said(description))]
    Refused {
        /// For instance `invalid_grant`.
        code: String,
        /// What it says to people.
        description: Option<String>,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// A status without a code.
    #[error("the authorization server answers with status {status}")]
    Status {
        /// The status.
        status: u16,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// A redirect, which could lead a secret astray.
    #[error("the authorization server answers with a redirect ({0}), which is not followed")]
    Redirect(u16),
    /// An answer that cannot be read.
    #[error("the answer of the authorization server {0}")]
    Malformed(&'static str),
    /// The person said no (RFC 6749 4.1.2.1).
    #[error("{DENIED}")]
    Denied,
    /// Nobody answered in time (RFC 8628 3.5).
    #[error("the code has expired before anybody entered it")]
    Expired,
    /// The browser's answer belongs to another login (RFC 6749 10.12).
    #[error("the answer belongs to another login: its state differs")]
    State,
    /// The browser's answer comes from another authorization server (RFC 9207).
    #[error("the answer comes from another authorization server than the one that was asked")]
    Issuer,
    /// A refresh brought another account's tokens (OpenID Connect Core 12.2).
    #[error("the answer holds the tokens of another account than the one that logged in")]
    Account,
    /// The browser's answer is none.
    #[error("the answer {0}")]
    Answer(&'static str),
    /// The definition lacks an endpoint.
    #[error("the definition has no {0}")]
    NoEndpoint(&'static str),
    /// The server cannot do what safety asks.
    #[error("the authorization server {0}")]
    Unsafe(&'static str),
    /// The client's private key cannot be used.
    #[error("the client's private key {0}")]
    Key(&'static str),
    /// A redirect URI or endpoint does not hold together.
    #[error("{0}")]
    Mismatch(String),
    /// The operating system gave no random numbers.
    #[error("no random numbers")]
    NoRandomness,
}

impl FlowError {
    /// The server's own code, if it gave one.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the same request may well succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Endpoint(EndpointError::Dial { .. }) => true,
            Self::Endpoint(error) => error.may_have_acted(),
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// Whether it is the OAuth client that is refused: by RFC 6749 5.2, or as GitHub and Slack say it.
    pub(crate) fn is_about_the_client(&self) -> bool {
        const CODES: [&str; 4] =
            ["invalid_client", "incorrect_client_credentials", "bad_client_secret", "invalid_client_id"];
        self.code().is_some_and(|code| CODES.contains(&code))
    }

    /// How long the server wants to be left alone (RFC 9110 10.2.3).
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn said(description: &Option<String>) -> String {
    description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default()
}

/// A server's code, in the letters that such codes have.
pub(super) fn code(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(*letter))
        .take(MAX_CODE)
        .collect()
}

/// A server's text for people: one short line, without any secret that was sent to it.
pub(super) fn description<'a>(
    text: &str,
    secrets: impl Iterator<Item = &'a Secret<String>>,
) -> Option<String> {
    let mut clean: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    for secret in secrets.map(|secret| secret.expose()).filter(|secret| secret.len() >= SHORTEST_SECRET) {
        clean = clean.replace(secret.as_str(), crate::auth::record::REDACTED);
    }
    let clean: String = clean.trim().chars().take(MAX_TEXT).collect();
    (!clean.is_empty()).then_some(clean)
}
