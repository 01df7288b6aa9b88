//! A provider definition: the JSON schema of the project, validated so that every error names its field.

mod document;
mod environment;
mod error;
mod evidence;
mod field;
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
pub use self::oauth::{AuthUrls, Endpoint};
pub use self::settings::{
    Account, ClientAuthentication, OAuth, Redirect, RefreshTokens, RequestBody, Revocation,
};
use crate::claim::Claim;
use crate::json;
use crate::pattern::ValuePattern;
use crate::placement::Placement;
use crate::template::{BASE_URL, Template, TemplateError};

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

    /// What a login for this kind of credential asks, in order: the base URL, the other fields, the secret.
    /// Empty when the definition does not offer the kind.
    pub fn fields(&self, auth: AuthType) -> Vec<FieldSpec> {
        let Some(form) = self.form(auth) else { return Vec::new() };
        let in_urls = self.template_fields(Some(auth));
        let mut asked = Vec::new();
        if in_urls.contains(&BASE_URL) && self.declared(BASE_URL).is_none() {
            asked.push(FieldSpec::base_url());
        }
        if in_urls.contains(&"tenant") && self.declared("tenant").is_none() {
            asked.push(FieldSpec::tenant());
        }
        let placed_by = |form: &form::Form, name: &str| form.placement.fields().contains(&name);
        let anywhere = self.template_fields(None);
        let elsewhere =
            |name: &str| anywhere.contains(&name) || self.forms().any(|other| placed_by(other, name));
        let concerns = |name: &str| in_urls.contains(&name) || placed_by(form, name) || !elsewhere(name);
        asked.extend(self.fields.iter().filter(|field| concerns(&field.name)).cloned());
        let label = match auth {
            AuthType::OAuth2 => "Access token",
            AuthType::ApiKey => "API key",
        };
        for base_url in asked.iter_mut().filter(|field| field.name == BASE_URL && field.default.is_none()) {
            base_url.default.clone_from(&self.base_url);
        }
        asked.push(FieldSpec::credential(auth.credential_field(), label, form));
        asked
    }

    /// The claims of a connection with this kind of credential, its values filled in; a missing value takes its default,
    /// and without an optional one the hosts that name it are left out. Empty for a definition that is not routed.
    ///
    /// # Errors
    /// [`TemplateError`] when a value is missing, is refused, or is a base URL or tenant that the definition lacks.
    pub fn claims(
        &self,
        auth: AuthType,
        values: &BTreeMap<String, String>,
    ) -> Result<Vec<Claim>, TemplateError> {
        let known = self.template_fields(None);
        for name in [BASE_URL, "tenant"] {
            if values.contains_key(name) && !known.contains(&name) && self.declared(name).is_none() {
                return Err(TemplateError::Undeclared(name.into()));
            }
        }
        if self.not_routed.is_some() {
            return Ok(Vec::new());
        }
        let values = self.with_defaults(values);
        let given = |name: &str| values.get(name).is_some_and(|value| !value.is_empty());
        let optional = self.fields.iter().filter(|field| field.optional && !given(&field.name));
        let absent: Vec<&str> = optional.map(|field| field.name.as_str()).collect();
        self.hosts.claims(auth, &values, &absent)
    }

    /// The claims that hold for every connection, or for one that takes the defaults: those without a field to fill.
    pub fn fixed_claims(&self) -> Vec<Claim> {
        match self.not_routed {
            Some(_) => Vec::new(),
            None => self.hosts.filled(&self.with_defaults(&BTreeMap::new())).collect(),
        }
    }

    /// How this kind of credential is placed. Without slots when the definition does not offer the kind.
    pub fn placement(&self, auth: AuthType) -> Placement {
        let empty = || Placement { slots: Vec::new(), clear: Vec::new(), variants: BTreeMap::new() };
        self.form(auth).map_or_else(empty, |form| form.placement.clone())
    }

    /// The endpoints of the authorization server, which never receive an injected credential.
    pub fn auth_endpoints(&self, values: &BTreeMap<String, String>) -> Vec<Endpoint> {
        let values = self.with_defaults(values);
        self.oauth.as_ref().map(|part| part.urls.endpoints(&values)).unwrap_or_default()
    }

    /// What never receives an injected credential although a host of the definition covers it: the endpoints of the
    /// authorization server, and what `excluded` names.
    pub fn never_injected(&self, values: &BTreeMap<String, String>) -> Vec<Endpoint> {
        let filled = self.with_defaults(values);
        let excluded = self.excluded.iter().filter_map(|url| Endpoint::of(url, &filled, true));
        self.auth_endpoints(values).into_iter().chain(excluded).collect()
    }

    /// The URLs of the authorization server; all `None` for a definition without OAuth.
    ///
    /// # Errors
    /// [`TemplateError`] when a value is missing or refused.
    pub fn urls(&self, values: &BTreeMap<String, String>) -> Result<AuthUrls, TemplateError> {
        let values = self.with_defaults(values);
        self.oauth.as_ref().map_or_else(|| Ok(AuthUrls::default()), |part| part.urls.fill(&values))
    }

    /// Fields and the environment variables that each is exported as. A refresh token is never among them.
    pub fn exports(&self) -> &[(String, Vec<String>)] {
        &self.exports
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

    fn form(&self, auth: AuthType) -> Option<&form::Form> {
        match auth {
            AuthType::OAuth2 => self.oauth.as_ref().map(|part| &part.form),
            AuthType::ApiKey => self.api_key.as_ref(),
        }
    }

    fn forms(&self) -> impl Iterator<Item = &form::Form> {
        [AuthType::OAuth2, AuthType::ApiKey].into_iter().filter_map(|auth| self.form(auth))
    }

    /// The names of the fields in URLs, and in the hosts for a kind of credential, or for any.
    fn template_fields(&self, auth: Option<AuthType>) -> Vec<&str> {
        let urls = self.oauth.iter().filter(|_| auth != Some(AuthType::ApiKey));
        let urls = urls.flat_map(|part| part.urls.fields());
        let excluded = self.excluded.iter().flat_map(Template::fields);
        let excluded = excluded.filter(|_| auth.is_none());
        self.hosts.fields(auth).chain(urls).chain(excluded).collect()
    }

    fn declared(&self, name: &str) -> Option<&FieldSpec> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn with_defaults(&self, values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut filled = values.clone();
        let declared = self.fields.iter().map(|field| (field.name.as_str(), &field.default));
        for (name, default) in declared.chain([(BASE_URL, &self.base_url)]) {
            if let Some(default) = default {
                filled.entry(name.to_owned()).or_insert_with(|| default.clone());
            }
        }
        filled
    }
}

impl serde::Serialize for ProviderDefinition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}
