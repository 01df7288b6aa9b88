//! What is noted about a provider beside its connections.

use std::collections::BTreeMap;

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
    /// Where each connection stands in being refreshed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, RefreshState>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Where a connection stands in being refreshed. Absent while all is well.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RefreshState {
    /// When a refresh was begun of which no end is known, in Unix seconds: the answer may be lost.
    #[serde(default, with = "timestamp", skip_serializing_if = "Option::is_none")]
    pub pending_since: Option<i64>,
    /// How many attempts have failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// When the last one failed, in Unix seconds.
    #[serde(default, with = "timestamp", skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<i64>,
    /// Before this time no further attempt is made, in Unix seconds.
    #[serde(default, with = "timestamp", skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<i64>,
    /// Why the last attempt failed, nothing secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ProviderState {
    /// Of a provider that was never refreshed.
    pub fn new(profile: &str, provider: &str) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            profile: profile.to_owned(),
            provider: provider.to_owned(),
            last_refresh_at: None,
            last_refresh_error: None,
            connections: BTreeMap::new(),
            rest: Map::new(),
        }
    }
}
