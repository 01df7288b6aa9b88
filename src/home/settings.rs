//! `config.json`: what the user settled for good. Unknown fields survive a rewrite.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::Error;
use super::files;

const LIMIT: u64 = 1 << 20;

/// Where the master key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncryptionMode {
    /// In `master.key`.
    #[default]
    LocalKey,
    /// In the operating system's keychain.
    Keyring,
    /// Nowhere: derived from a passphrase.
    Passphrase,
}

impl EncryptionMode {
    /// The word in `config.json` and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LocalKey => "local_key",
            Self::Keyring => "keyring",
            Self::Passphrase => "passphrase",
        }
    }
}

/// How a run's connections reach the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interception {
    /// By environment variables and shims.
    #[default]
    Env,
    /// By the kernel, at each `connect()`.
    Seccomp,
    /// By namespaces.
    Isolate,
}

/// What happens to a host or request that the routes do not settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsettled {
    /// It passes without a credential.
    #[default]
    Pass,
    /// It is refused.
    Deny,
}

/// What happens to a credential of the client's own in the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreign {
    /// Ours takes its place.
    #[default]
    Replace,
    /// It stays, and ours is not placed.
    Keep,
    /// The request is refused.
    Deny,
}

/// How a passphrase becomes the master key: Argon2id (RFC 9106).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derivation {
    /// 16 random bytes, in base64.
    pub salt: String,
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// What the derived key is called, which tells a wrong passphrase.
    pub key_id: String,
}

/// The `encryption` block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Encryption {
    /// Where the master key is kept.
    #[serde(default)]
    pub mode: EncryptionMode,
    /// Which entry of the keychain holds the key, with mode `keyring`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// With mode `passphrase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argon2id: Option<Derivation>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The content of `config.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// Version of the portable specification.
    pub spec_version: u32,
    /// The profile used when none is named.
    #[serde(default = "default_profile")]
    pub default_profile: String,
    /// How the vault is sealed.
    #[serde(default, deserialize_with = "default_for_null")]
    pub encryption: Encryption,
    /// Providers that win where two claim one place, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefer: Vec<String>,
    /// PEM files of further roots for upstream verification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream_ca: Vec<PathBuf>,
    /// `host:port:address:port` mappings for dialling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connect_to: Vec<String>,
    /// The port that a browser comes back to after a login; 7999 unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_port: Option<u16>,
    /// How many seconds before its end an access token is renewed; 300 unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_window: Option<u32>,
    /// How `run` intercepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intercept: Option<Interception>,
    /// Hosts without a route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<Unsettled>,
    /// Requests that two providers claim alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambiguous: Option<Unsettled>,
    /// Credentials of the client's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Foreign>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            spec_version: 1,
            default_profile: default_profile(),
            encryption: Encryption::default(),
            prefer: Vec::new(),
            upstream_ca: Vec::new(),
            connect_to: Vec::new(),
            callback_port: None,
            refresh_window: None,
            intercept: None,
            unmatched: None,
            ambiguous: None,
            foreign: None,
            rest: Map::new(),
        }
    }
}

impl Settings {
    /// Reads the `config.json` of a home; defaults when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, is no JSON object of this form, or names no profile.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join("config.json");
        let Some(content) = files::read(&path, LIMIT)? else {
            return Ok(Self::default());
        };
        let settings: Self =
            serde_json::from_slice(&content).map_err(|source| Error::Settings { path, source })?;
        super::check_name("default_profile", &settings.default_profile)?;
        Ok(settings)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

/// The Python edition may write `null`.
fn default_for_null<'de, D: Deserializer<'de>>(from: D) -> Result<Encryption, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn default_profile() -> String {
    "default".to_owned()
}
