//! Provider definitions of the tests' own.

use serde_json::{Value, json};

/// A custom definition, to be written into a home's `providers/`.
#[derive(Debug, Clone)]
pub(crate) struct Definition(pub(crate) Value);

impl Definition {
    /// `Authorization: Bearer KEY` on one host.
    pub(crate) fn bearer(name: &str, host_url: &str) -> Self {
        Self(json!({
            "schema_version": 1,
            "name": name,
            "display_name": name,
            "auth_type": "api_key",
            "flow": "api_key",
            "host_url": host_url,
            "docs": "https://docs.test/",
            "api_key": {"header_name": "Authorization", "header_prefix": "Bearer"},
            "export": {"env": {"api_key": format!("{}_API_KEY", name.to_uppercase())}},
        }))
    }

    /// `X-Api-Key: KEY` instead.
    pub(crate) fn header(name: &str, host_url: &str) -> Self {
        Self::bearer(name, host_url).with("api_key", json!({"header_name": "X-Api-Key", "header_prefix": ""}))
    }

    /// `?PARAMETER=KEY` instead.
    pub(crate) fn query(name: &str, host_url: &str, parameter: &str) -> Self {
        Self::placed(name, host_url, &json!({"query": {parameter: "{api_key}"}}))
    }

    /// With a `placement` block.
    pub(crate) fn placed(name: &str, host_url: &str, placement: &Value) -> Self {
        Self::bearer(name, host_url).with("api_key", json!({"placement": placement}))
    }

    /// Sets a field.
    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        self.0[field] = value;
        self
    }

    pub(crate) fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }
}

/// The key that the tests store for a provider.
pub(crate) fn key_of(provider: &str) -> String {
    format!("sk-{provider}-5ca1ab1e0ddba11c0ffee")
}
