//! Login protocols: stateless, without a vault. What a server wants beyond the RFCs is data of its definition.
//!
//! A flow takes a [`Server`] and an [`OAuthClient`] and yields [`Tokens`]; who stores them is not its matter.

mod account;
mod authorization_code;
mod client;
mod device_code;
mod discovery;
mod error;
mod grants;
mod registration;
mod revocation;
mod tokens;

use std::fmt;

use authsome_providers::{AuthUrls, OAuth};

use super::token_endpoint::TokenEndpoint;
use crate::clock::Clock;
use crate::secret::Secret;

pub(crate) use account::{account, account_in};
pub(crate) use authorization_code::{AuthorizationRequest, Redirected, authorize, exchange};
pub(crate) use client::OAuthClient;
pub(crate) use device_code::{DeviceAuthorization, Poll, SLOW_DOWN, begin_device, poll_device};
pub(crate) use discovery::discover;
pub(crate) use error::{DENIED, FlowError};
pub(crate) use grants::{client_credentials, refresh, token_exchange};
pub(crate) use registration::register;
pub(crate) use revocation::{introspect, revoke};
pub(crate) use tokens::{Tokens, subject};

/// An authorization server as a flow sees it.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    /// Carries the requests.
    pub(crate) http: &'a dyn TokenEndpoint,
    /// What it wants beyond the RFCs.
    pub(crate) settings: &'a OAuth,
    /// Its endpoints, filled for one connection.
    pub(crate) urls: &'a AuthUrls,
    /// Its identifier (RFC 8414 2), when it is known.
    pub(crate) issuer: Option<&'a str>,
    /// Whether it promises to name itself in each answer of a browser (RFC 9207 3).
    pub(crate) names_itself: bool,
    /// For signed assertions.
    pub(crate) clock: &'a dyn Clock,
}

impl fmt::Debug for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.issuer.or(self.urls.token.as_deref()).unwrap_or_default())
    }
}

impl Server<'_> {
    fn token_url(&self) -> Result<&str, FlowError> {
        self.urls.token.as_deref().ok_or(FlowError::NoEndpoint("token_url"))
    }

    /// Scopes in the form that the server wants.
    fn joined(&self, scopes: &[String]) -> String {
        scopes.join(self.settings.scope_separator.as_deref().unwrap_or(" "))
    }

    /// The parameter for scopes, when any are asked for.
    fn scope(&self, scopes: &[String]) -> Option<(String, Secret<String>)> {
        let name = self.settings.scope_param.as_deref().unwrap_or("scope");
        (!scopes.is_empty()).then(|| (name.to_owned(), self.joined(scopes).into()))
    }
}

/// Parameters of a request, any of which may be secret.
type Parameters = Vec<(String, Secret<String>)>;

fn parameter(name: &str, value: &str) -> (String, Secret<String>) {
    (name.to_owned(), value.into())
}

/// So many random bytes, in the alphabet of base64url (RFC 4648 5).
fn random(bytes: usize) -> Result<Secret<String>, FlowError> {
    use base64::Engine;
    let mut random = zeroize::Zeroizing::new(vec![0u8; bytes]);
    getrandom::fill(&mut random).map_err(|_| FlowError::NoRandomness)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&*random).into())
}
#[cfg(test)]
mod tests;
