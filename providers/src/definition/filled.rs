//! A definition with the values of one connection filled in.

use std::collections::BTreeMap;

use super::{AuthType, AuthUrls, Endpoint, FieldSpec, ProviderDefinition, form};
use crate::claim::Claim;
use crate::template::{BASE_URL, TemplateError};

impl ProviderDefinition {
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

    /// The endpoints of the authorization server, which never receive an injected credential.
    pub fn auth_endpoints(&self, values: &BTreeMap<String, String>) -> Vec<Endpoint> {
        let values = self.with_defaults(values);
        self.oauth.as_ref().map(|part| part.urls.endpoints(&values)).unwrap_or_default()
    }

    /// Where the credential never goes although a host of the definition covers it: what `excluded` names, and below.
    pub fn excluded(&self, values: &BTreeMap<String, String>) -> Vec<Endpoint> {
        let values = self.with_defaults(values);
        let places = self.excluded.iter().filter_map(|url| Endpoint::of(url, &values));
        places.map(Endpoint::with_below).collect()
    }

    /// The URLs of the authorization server; all `None` for a definition without OAuth.
    ///
    /// # Errors
    /// [`TemplateError`] when a value is missing or refused.
    pub fn urls(&self, values: &BTreeMap<String, String>) -> Result<AuthUrls, TemplateError> {
        let values = self.with_defaults(values);
        self.oauth.as_ref().map_or_else(|| Ok(AuthUrls::default()), |part| part.urls.fill(&values))
    }

    /// The names of the fields in URLs, and in the hosts for a kind of credential, or for any.
    pub(super) fn template_fields(&self, auth: Option<AuthType>) -> Vec<&str> {
        let urls = self.oauth.iter().filter(|_| auth != Some(AuthType::ApiKey));
        let urls = urls.flat_map(|part| part.urls.fields());
        self.hosts.fields(auth).chain(urls).collect()
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
