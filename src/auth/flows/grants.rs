//! Grants without a person: refresh (RFC 6749 6), client credentials (4.4), token exchange (RFC 8693).

use super::{FlowError, OAuthClient, Parameters, Server, Tokens, parameter};
use crate::secret::Secret;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Renews an access token. The scopes stay as they were granted.
///
/// # Errors
/// When the server refuses or does not answer.
pub(crate) fn refresh(
    server: Server<'_>,
    client: &OAuthClient,
    refresh_token: &Secret<String>,
) -> Result<Tokens, FlowError> {
    let mut grant =
        vec![parameter("grant_type", "refresh_token"), ("refresh_token".to_owned(), refresh_token.clone())];
    grant.extend(server.settings.resource.iter().map(|resource| parameter("resource", resource)));
    let elsewhere = server.urls.refresh.as_deref();
    server.token_at(elsewhere.map_or_else(|| server.token_url(), Ok)?, client, grant)
}

/// A token for the client itself.
///
/// # Errors
/// When the server refuses or does not answer.
pub(crate) fn client_credentials(
    server: Server<'_>,
    client: &OAuthClient,
    scopes: &[String],
) -> Result<Tokens, FlowError> {
    let mut grant: Parameters = vec![parameter("grant_type", "client_credentials")];
    grant.extend(server.scope(scopes));
    grant.extend(server.settings.resource.iter().map(|resource| parameter("resource", resource)));
    server.token(client, grant)
}

/// A token in exchange for another one.
///
/// # Errors
/// When the server refuses or does not answer.
pub(crate) fn token_exchange(
    server: Server<'_>,
    client: &OAuthClient,
    subject_token: &Secret<String>,
    scopes: &[String],
) -> Result<Tokens, FlowError> {
    let mut grant: Parameters = vec![
        parameter("grant_type", EXCHANGE),
        ("subject_token".to_owned(), subject_token.clone()),
        parameter(
            "subject_token_type",
            server.settings.subject_token_type.as_deref().unwrap_or(ACCESS_TOKEN),
        ),
    ];
    grant.extend(server.scope(scopes));
    grant.extend(server.settings.resource.iter().map(|resource| parameter("resource", resource)));
    server.token(client, grant)
}
