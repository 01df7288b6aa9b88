//! A provider definition: the JSON schema of the project, validated so that every error names its field.

mod document;
mod environment;
mod error;
mod evidence;
mod field;
mod filled;
mod form;
mod hosts;
mod kind;
mod oauth;
mod parse;
mod settings;
mod shape;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::error::DefinitionError;
pub use self::evidence::{Evidence, Gap, Reference};
pub use self::field::{FieldError, FieldSpec};
pub use self::kind::{AuthType, FlowType};
pub use self::oauth::{AuthUrls, CLIENT_ID, Endpoint};
pub use self::settings::{
    Account, ClientAuthentication, OAuth, Redirect, RefreshTokens, RequestBody, Revocation,
};
use crate::pattern::ValuePattern;
use crate::placement::Placement;
use crate::template::Template;
use crate::{json, unknown};

/// What the child of a run holds instead of a secret, unless the definition names its own.
pub const DEFAULT_PLACEHOLDER: &str = "authsome-proxy-managed";

/// The version of the schema that is read.
pub const SCHEMA_VERSION: u64 = 1;

/// The JSON Schema of a definition (draft 2020-12), made from the types that read it. It describes the shape;
/// [`ProviderDefinition::from_json`] checks more.
pub fn json_schema() -> Value {
    schemars::schema_for!(document::Document).to_value()
}

/// A provider: where its credential goes, how it is placed, what a login asks.
#[derive(Debug, Clone)]
pub struct ProviderDefinition {
    raw: Value,
    name: String,
    aliases: Vec<String>,
    display_name: String,
    auth_type: AuthType,
    flow: FlowType,
    not_routed: Option<String>,
    docs: Option<String>,
    placeholder: Option<String>,
    base_url: Option<String>,
    hosts: hosts::Hosts,
    /// URLs at and below which the credential never goes.
    excluded: Vec<Template>,
    fields: Vec<FieldSpec>,
    oauth: Option<OAuthPart>,
    api_key: Option<form::Form>,
    client_docs: Option<String>,
    client_id_env: Option<String>,
    client_secret_env: Option<String>,
    exports: environment::Exports,
}

#[derive(Debug, Clone)]
struct OAuthPart {
    block: OAuth,
    urls: oauth::Urls,
    form: form::Form,
}

impl ProviderDefinition {
    /// Reads and validates a definition: JSON, with comments and trailing commas. `connections` is ignored, unknown
    /// fields are kept.
    ///
    /// # Errors
    /// [`DefinitionError`], naming the line of a syntax error or the JSON path of the field that failed.
    pub fn from_json(text: &str) -> Result<Self, DefinitionError> {
        if text.len() > json::MAX_BYTES {
            return Err(DefinitionError::TooLarge);
        }
        let value = json::parse(text).map_err(|error| DefinitionError::Syntax {
            line: error.line,
            column: error.column,
            problem: error.problem,
        })?;
        Self::from_value(value).map_err(|error| error.in_text(text))
    }

    /// Validates a definition that is already parsed.
    ///
    /// # Errors
    /// [`DefinitionError`] with the JSON path of the field that failed.
    pub fn from_value(value: Value) -> Result<Self, DefinitionError> {
        parse::definition(value)
    }

    /// The definition as it was written, unknown fields included, without `connections`.
    pub fn to_json(&self) -> Value {
        self.raw.clone()
    }

    /// The provider's name: lower-case letters, digits, `-` and `_`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Other names that people may use for it.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// Why the credential is injected nowhere, when it is not.
    pub fn not_routed(&self) -> Option<&str> {
        self.not_routed.as_deref()
    }

    /// The JSON paths of fields that nothing reads. Those of the Python edition are known, and read or ignored.
    pub fn unknown_fields(&self) -> Vec<String> {
        unknown::fields(&parse::in_one_spelling(&self.raw), &json_schema())
    }

    /// What its facts rest on.
    pub fn evidence(&self) -> Evidence {
        Evidence::read(&self.raw)
    }

    /// The name that a person reads.
    pub fn display_name(&self) -> &str {
        &self.display_name
    }

    /// The kind of credential of the default flow.
    pub fn auth_type(&self) -> AuthType {
        self.auth_type
    }

    /// The default flow.
    pub fn flow(&self) -> FlowType {
        self.flow
    }

    /// The flows that a login may take, the default first.
    pub fn flows(&self) -> Vec<FlowType> {
        let by_oauth = self.oauth.iter().flat_map(|part| part.urls.flows(&part.block));
        let by_key = self.api_key.iter().map(|_| FlowType::ApiKey);
        let others = by_oauth.chain(by_key).filter(|flow| *flow != self.flow);
        std::iter::once(self.flow).chain(others).collect()
    }

    /// Whether the definition has this kind of credential, be it not the default.
    pub fn offers(&self, auth: AuthType) -> bool {
        self.form(auth).is_some()
    }

    /// The vendor's page about credentials.
    pub fn docs(&self) -> Option<&str> {
        self.docs.as_deref()
    }

    /// What the child of a run holds instead of a secret.
    pub fn placeholder(&self) -> &str {
        self.placeholder.as_deref().unwrap_or(DEFAULT_PLACEHOLDER)
    }

    /// What an API key must match.
    pub fn key_pattern(&self) -> Option<&ValuePattern> {
        self.api_key.as_ref()?.pattern.as_ref()
    }

    /// What to say of a key that does not match.
    pub fn key_pattern_hint(&self) -> Option<&str> {
        self.api_key.as_ref()?.hint.as_deref()
    }

    /// The OAuth settings besides the URLs.
    pub fn oauth(&self) -> Option<&OAuth> {
        self.oauth.as_ref().map(|part| &part.block)
    }

    /// How this kind of credential is placed. Without slots when the definition does not offer the kind.
    pub fn placement(&self, auth: AuthType) -> Placement {
        let empty = || Placement { slots: Vec::new(), clear: Vec::new(), variants: BTreeMap::new() };
        self.form(auth).map_or_else(empty, |form| form.placement.clone())
    }

    /// Fields and the environment variables that each is exported as. A refresh token is never among them.
    pub fn exports(&self) -> &[(String, Vec<String>)] {
        &self.exports
    }

    /// The page on which a person registers an OAuth client.
    pub fn client_docs(&self) -> Option<&str> {
        self.client_docs.as_deref().or(self.docs())
    }

    /// The variable that login takes the OAuth client's id from.
    pub fn client_id_env(&self) -> Option<&str> {
        self.client_id_env.as_deref()
    }

    /// The variable that login takes the OAuth client's secret from.
    pub fn client_secret_env(&self) -> Option<&str> {
        self.client_secret_env.as_deref()
    }

    /// Every environment variable that the definition makes login read, sorted.
    pub fn env_vars(&self) -> Vec<&str> {
        let clients = [self.client_id_env(), self.client_secret_env()].into_iter().flatten();
        let forms = self.forms().filter_map(|form| form.env_var.as_deref());
        let fields = self.fields.iter().filter_map(|field| field.env_var.as_deref());
        let mut names: Vec<&str> = clients.chain(forms).chain(fields).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The hosts that it reaches, whatever its fields hold.
    pub(crate) fn reaches(&self) -> Vec<crate::suspect::Reach> {
        self.hosts.reaches()
    }

    fn form(&self, auth: AuthType) -> Option<&form::Form> {
        match auth {
            AuthType::OAuth2 => self.oauth.as_ref().map(|part| &part.form),
            AuthType::ApiKey => self.api_key.as_ref(),
        }
    }

    fn forms(&self) -> impl Iterator<Item = &form::Form> {
        [AuthType::OAuth2, AuthType::ApiKey].into_iter().filter_map(|auth| self.form(auth))
    }
}

impl serde::Serialize for ProviderDefinition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}
