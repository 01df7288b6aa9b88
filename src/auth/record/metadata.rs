//! What is noted about a provider beside its connections.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SCHEMA_VERSION;
use super::codec::timestamp;

/// Which connections a provider has: `profile:<profile>:<provider>:metadata`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderMetadata {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The profile's name.
    pub profile: String,
    /// The provider's name.
    pub provider: String,
    /// The one that is used when none is named.
    #[serde(default)]
    pub default_connection: Option<String>,
    /// In the order in which they were made.
    #[serde(default)]
    pub connection_names: Vec<String>,
    /// The one that was used last.
    #[serde(default)]
    pub last_used_connection: Option<String>,
    /// Whatever else is known.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ProviderMetadata {
    /// Of a provider without connections.
    pub fn new(profile: &str, provider: &str) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            profile: profile.to_owned(),
            provider: provider.to_owned(),
            default_connection: None,
            connection_names: Vec::new(),
            last_used_connection: None,
            metadata: Map::new(),
            rest: Map::new(),
        }
    }

    /// Notes a connection; the first becomes the default.
    pub fn add(&mut self, connection: &str) {
        if !self.connection_names.iter().any(|name| name == connection) {
            self.connection_names.push(connection.to_owned());
        }
        self.default_connection.get_or_insert_with(|| connection.to_owned());
    }

    /// Forgets a connection; the oldest that is left becomes the default in its place.
    pub fn remove(&mut self, connection: &str) {
        self.connection_names.retain(|name| name != connection);
        if self.default_connection.as_deref() == Some(connection) {
            self.default_connection = self.connection_names.first().cloned();
        }
        if self.last_used_connection.as_deref() == Some(connection) {
            self.last_used_connection = None;
        }
    }
}

/// How refreshing went: `profile:<profile>:<provider>:state`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProviderState {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The profile's name.
    pub profile: String,
    /// The provider's name.
    pub provider: String,
    /// Unix seconds.
    #[serde(default, with = "timestamp")]
    pub last_refresh_at: Option<i64>,
    /// What went wrong, nothing secret.
    #[serde(default)]
    pub last_refresh_error: Option<String>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
