//! The authorization server of a connection: what the sealed binding and today's definition both allow.

use authsome_providers::{AuthUrls, OAuth};

use super::flows::{OAuthClient, Server};
use super::record::{ConnectionRecord, ConnectionStatus};
use super::{AuthService, Error, binding};
use crate::clock::Clock;

use super::token_endpoint::TokenEndpoint;

/// Where [`ConnectionRecord::metadata`] keeps which client a connection was made with, and by which flow.
pub(super) const CLIENT_ID: &str = "client_id";
pub(super) const FLOW: &str = "flow";

/// Endpoints and settings of one connection's authorization server.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    pub(super) settings: OAuth,
    pub(super) urls: AuthUrls,
    pub(super) issuer: Option<String>,
    pub(super) names_itself: bool,
}

/// Why a stored token may not be sent anywhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthorityError {
    #[error("its definition has no OAuth any more")]
    NoOAuth,
    #[error(
        "the definition has changed since the login ({changes}); look at it, then run: authsome login {provider} --connection {connection} --rebind"
    )]
    Changed { provider: String, connection: String, changes: String },
    #[error("its OAuth client is gone; run: authsome login {provider} --connection {connection} --force")]
    NoClient { provider: String, connection: String },
    #[error(
        "it was made with another OAuth client than the one that is stored; run: authsome login {provider} --connection {connection} --force"
    )]
    OtherClient { provider: String, connection: String },
    #[error("the definition does not fit it: {0}")]
    Template(#[from] authsome_providers::TemplateError),
    #[error(transparent)]
    Vault(#[from] Error),
}

impl Authority {
    pub(super) fn server<'a>(&'a self, http: &'a dyn TokenEndpoint, clock: &'a dyn Clock) -> Server<'a> {
        let issuer = self.issuer.as_deref();
        Server {
            http,
            settings: &self.settings,
            urls: &self.urls,
            issuer,
            names_itself: self.names_itself,
            clock,
        }
    }
}

impl AuthService {
    /// The server that a stored connection's tokens may be sent to, and the client to send them with.
    pub(super) fn authority(
        &self,
        record: &ConnectionRecord,
    ) -> Result<(Authority, OAuthClient), AuthorityError> {
        let definitions = self.definitions();
        let definition = &definitions.provider(&record.provider)?.definition;
        let settings = definition.oauth().ok_or(AuthorityError::NoOAuth)?.clone();
        let today = binding::today(definition, record.auth_type, &record.template_values())?;
        let changes = record.binding.endpoint_changes(&today);
        let (provider, connection) = (record.provider.clone(), record.connection_name.clone());
        if !changes.is_empty() {
            return Err(AuthorityError::Changed { provider, connection, changes: changes.join(", ") });
        }
        let bound = &record.binding;
        let urls = AuthUrls {
            token: bound.token_url.clone(),
            refresh: bound.refresh_url.clone(),
            revocation: bound.revocation_url.clone(),
            introspection: bound.introspection_url.clone(),
            ..AuthUrls::default()
        };
        let client = self.client(&provider)?;
        let Some(client) = client else { return Err(AuthorityError::NoClient { provider, connection }) };
        let made_with = record.metadata.get(CLIENT_ID).and_then(|id| id.as_str());
        let elsewhere = client.token_url.is_some() && client.token_url != bound.token_url;
        if elsewhere || made_with.is_some_and(|id| id != client.client_id) {
            return Err(AuthorityError::OtherClient { provider, connection });
        }
        let client = client.for_flows(settings.client_authentication, &[]);
        Ok((Authority { settings, urls, issuer: bound.issuer.clone(), names_itself: false }, client))
    }
}

impl ConnectionRecord {
    /// Whether its access token can be renewed without a person.
    pub fn is_renewable(&self) -> bool {
        let by_itself = self.metadata.get(FLOW).and_then(|flow| flow.as_str());
        let repeats = matches!(by_itself, Some("client_credentials" | "token_exchange"));
        self.status == ConnectionStatus::Connected && (self.refresh_token.is_some() || repeats)
    }
}
