//! What the vault holds about a provider: connections, the OAuth client, metadata, state.
//!
//! All are JSON with `schema_version`. Fields that this version does not know survive a rewrite.
//! Secrets are read and written here and nowhere else: [`Secret`] itself has no serde.

mod codec;
mod keys;
mod metadata;

use std::collections::BTreeMap;
use std::fmt;

use authsome_providers::{AuthType, Placement};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::secret::Secret;
pub use codec::{RecordError, decode, encode};
use codec::{exposed, optional_secret, secret_text, timestamp};
pub use keys::Keys;
pub use metadata::{ProviderMetadata, ProviderState, RefreshState};

/// The version of all records.
pub const SCHEMA_VERSION: u32 = 1;

/// What stands for a secret wherever a record is shown.
pub const REDACTED: &str = "***";

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// A login has begun and not ended.
    NotConnected,
    /// Usable.
    Connected,
    /// The access token is past its end; a refresh may help.
    Expired,
    /// Given up on purpose.
    Revoked,
    /// The provider refuses it for good: log in again.
    Invalid,
    /// Its record cannot be opened here. Shown, never stored.
    #[serde(skip_deserializing)]
    Sealed,
}

impl ConnectionStatus {
    /// The word in records and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Connected => "connected",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Invalid => "invalid",
            Self::Sealed => "sealed",
        }
    }
}

impl fmt::Display for ConnectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the definition said at login. A secret goes only where this and today's definition both allow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// Hosts with ports and paths, in the canonical text of a claim, templates filled, sorted.
    pub claims: Vec<String>,
    /// The slots.
    pub placement: Placement,
    /// Where the connection is refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// Where it is revoked (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_url: Option<String>,
    /// Where it is refreshed, when that is elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<String>,
    /// Where it is examined (RFC 7662).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_url: Option<String>,
    /// The resource whose metadata named these URLs (RFC 9728), when the definition does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The authorization server's identifier, when it told it (RFC 8414).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// URLs at and below which the secret never goes, although a claim covers them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Whose credential it is, as the provider tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The provider's identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A field that the definition names beyond the fixed ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FieldValue {
    /// The value.
    #[serde(with = "secret_text")]
    pub value: Secret<String>,
    /// Whether it is shown as [`REDACTED`].
    pub secret: bool,
}

/// One connection: `profile:<profile>:<provider>:connection:<name>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The provider's name.
    pub provider: String,
    /// The profile's name.
    pub profile: String,
    /// The connection's name.
    pub connection_name: String,
    /// What it holds.
    pub auth_type: AuthType,
    /// How it stood when it was written; see [`status_at`](Self::status_at).
    pub status: ConnectionStatus,
    /// The scopes that were granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The OAuth access token.
    #[serde(default, with = "optional_secret", skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret<String>>,
    /// The OAuth refresh token. It never leaves this machine but for the token endpoint.
    #[serde(default, with = "optional_secret", skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret<String>>,
    /// The OpenID Connect identity token.
    #[serde(default, with = "optional_secret", skip_serializing_if = "Option::is_none")]
    pub id_token: Option<Secret<String>>,
    /// The API key.
    #[serde(default, with = "optional_secret", skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret<String>>,
    /// `Bearer`, if the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// When the access token ends, in Unix seconds.
    #[serde(default, with = "timestamp", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When the credential was obtained, in Unix seconds.
    #[serde(default, with = "timestamp", skip_serializing_if = "Option::is_none")]
    pub obtained_at: Option<i64>,
    /// The installation, for providers that run in many places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The customer's label in the provider's host names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Further fields of the definition, such as `account_sid`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldValue>,
    /// Where the credential may go.
    pub binding: Binding,
    /// Whose it is.
    #[serde(default)]
    pub account: Account,
    /// Whatever else is known, nothing secret.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ConnectionRecord {
    /// The value of a field for a placement or an export. The refresh token is none.
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "api_key" => exposed(&self.api_key),
            "access_token" => exposed(&self.access_token),
            "id_token" => exposed(&self.id_token),
            "base_url" => self.base_url.as_deref(),
            "tenant" => self.tenant.as_deref(),
            _ => self.fields.get(name).map(|field| field.value.expose().as_str()),
        }
    }

    /// Sets a field by the name that the definition gives it.
    pub fn set_field(&mut self, name: &str, value: Secret<String>, secret: bool) {
        match name {
            "api_key" => self.api_key = Some(value),
            "access_token" => self.access_token = Some(value),
            "base_url" => self.base_url = Some(value.expose().clone()),
            "tenant" => self.tenant = Some(value.expose().clone()),
            _ => {
                self.fields.insert(name.to_owned(), FieldValue { value, secret });
            }
        }
    }

    /// Every secret in the record, with the name of its field.
    pub fn secrets(&self) -> Vec<(&str, &Secret<String>)> {
        let fixed = [
            ("api_key", &self.api_key),
            ("access_token", &self.access_token),
            ("refresh_token", &self.refresh_token),
            ("id_token", &self.id_token),
        ];
        let fixed = fixed.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let further = self.fields.iter().filter(|(_, field)| field.secret);
        fixed.chain(further.map(|(name, field)| (name.as_str(), &field.value))).collect()
    }

    /// How the connection stands at a time in Unix seconds.
    pub fn status_at(&self, now: i64) -> ConnectionStatus {
        match (self.status, self.expires_at) {
            (ConnectionStatus::Connected, Some(end)) if end <= now => ConnectionStatus::Expired,
            (status, _) => status,
        }
    }

    /// The record as JSON, with [`REDACTED`] in the place of each secret.
    pub fn redacted(&self) -> Value {
        let mut shown = self.clone();
        let hidden = || Secret::from(REDACTED);
        for value in
            [&mut shown.api_key, &mut shown.access_token, &mut shown.refresh_token, &mut shown.id_token]
        {
            *value = value.is_some().then(hidden);
        }
        for field in shown.fields.values_mut().filter(|field| field.secret) {
            field.value = hidden();
        }
        json!(shown)
    }

    /// The record as JSON with its secrets, for `--show-secret`.
    pub fn to_json(&self) -> Secret<Vec<u8>> {
        encode(self)
    }
}

/// Where an OAuth client came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientSource {
    /// Typed in.
    UserSupplied,
    /// From the variables that the definition names.
    EnvImported,
    /// Registered by us (RFC 7591).
    DcrGenerated,
}

/// The registered application: `profile:<profile>:<provider>:client`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The profile's name.
    pub profile: String,
    /// The provider's name.
    pub provider: String,
    /// Public.
    pub client_id: String,
    /// Absent for public clients.
    #[serde(default, with = "optional_secret", skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret<String>>,
    /// Where it came from.
    pub source: ClientSource,
    /// The token endpoint that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// Whatever else is known, nothing secret.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[cfg(test)]
mod tests;
