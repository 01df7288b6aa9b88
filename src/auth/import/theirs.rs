//! Records as 0.2.x of the Python edition writes them.

use authsome_providers::AuthType;
use serde::{Deserialize, Deserializer};

use super::Reason;
use crate::auth::record::{ConnectionRecord, ConnectionStatus};
use crate::clock;
use crate::secret::Secret;

/// The version of all records of 0.2.x.
const VERSION: u64 = 2;

/// A connection as 0.2.x writes it.
#[derive(Deserialize)]
pub(super) struct TheirConnection {
    pub(super) schema_version: u64,
    pub(super) auth_type: AuthType,
    pub(super) status: ConnectionStatus,
    #[serde(default)]
    pub(super) base_url: Option<String>,
    #[serde(default)]
    pub(super) scopes: Option<Vec<String>>,
    #[serde(default)]
    pub(super) access_token: Option<Hidden>,
    #[serde(default)]
    pub(super) refresh_token: Option<Hidden>,
    #[serde(default)]
    pub(super) id_token: Option<Hidden>,
    #[serde(default)]
    pub(super) api_key: Option<Hidden>,
    #[serde(default)]
    pub(super) token_type: Option<String>,
    #[serde(default)]
    pub(super) expires_at: Option<String>,
    #[serde(default)]
    pub(super) obtained_at: Option<String>,
    #[serde(default)]
    pub(super) account: Option<TheirAccount>,
}

/// Whose it is.
#[derive(Deserialize)]
pub(super) struct TheirAccount {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) label: Option<String>,
}

/// The OAuth client of a provider.
#[derive(Deserialize)]
pub(super) struct TheirClient {
    pub(super) schema_version: u64,
    #[serde(default)]
    pub(super) client_id: Option<String>,
    #[serde(default)]
    pub(super) client_secret: Option<Hidden>,
    #[serde(default)]
    pub(super) base_url: Option<String>,
}

/// What a provider's connections are called.
#[derive(Deserialize)]
pub(super) struct TheirMetadata {
    pub(super) provider: String,
    #[serde(default)]
    pub(super) default_connection: Option<String>,
}

/// A secret, as it is read.
pub(super) struct Hidden(pub(super) Secret<String>);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Secret::new(text)))
    }
}

/// The message of serde_json may quote a value.
pub(super) fn parsed<'de, T: Deserialize<'de>>(value: &'de [u8]) -> Result<T, Reason> {
    serde_json::from_slice(value).map_err(|error| {
        format!("it is not of the expected form (line {}, column {})", error.line(), error.column())
    })
}

pub(super) fn check_version(found: u64) -> Result<(), Reason> {
    match found {
        VERSION => Ok(()),
        _ => Err(format!("its schema version {found} is not {VERSION}")),
    }
}

/// A credential of another installation must not go to the usual one.
pub(super) fn check_base_url(theirs: Option<&str>, record: &ConnectionRecord) -> Result<(), Reason> {
    let Some(theirs) = theirs.map(|url| url.trim_end_matches('/')) else { return Ok(()) };
    let ours = record.base_url.as_deref().or(record.binding.token_url.as_deref()).unwrap_or_default();
    let same = ours.strip_prefix(theirs).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if same { Ok(()) } else { Err(format!("it is for {theirs}, which the definition does not cover here")) }
}

/// Their times are RFC 3339 with microseconds; one without a zone is UTC.
pub(super) fn time(text: &str) -> Result<i64, Reason> {
    let parsed = clock::parse_rfc3339(text).or_else(|| clock::parse_rfc3339(&format!("{text}Z")));
    parsed.ok_or_else(|| "one of its times cannot be read".to_owned())
}
