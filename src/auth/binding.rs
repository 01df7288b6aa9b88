//! Bindings: what a definition says about where a connection's secret may go.

use std::collections::BTreeMap;

use authsome_providers::{AuthType, AuthUrls, Endpoint, Placement, ProviderDefinition, TemplateError};
use serde_json::Map;

use super::record::{Binding, ConnectionRecord};

/// What a definition says today about a connection with these values in its templates.
///
/// # Errors
/// When a value is missing or refused.
pub fn today(
    definition: &ProviderDefinition,
    auth_type: AuthType,
    values: &BTreeMap<String, String>,
) -> Result<Binding, TemplateError> {
    let mut claims: Vec<String> =
        definition.claims(auth_type, values)?.iter().map(ToString::to_string).collect();
    claims.sort_unstable();
    let urls = match auth_type {
        AuthType::OAuth2 => definition.urls(values)?,
        AuthType::ApiKey => AuthUrls::default(),
    };
    Ok(Binding {
        claims,
        placement: definition.placement(auth_type),
        token_url: urls.token,
        revocation_url: urls.revocation,
        introspection_url: urls.introspection,
        excluded: definition.excluded(values).iter().map(ToString::to_string).collect(),
        rest: Map::new(),
    })
}

impl Binding {
    /// Where the secret never goes although a claim covers it.
    pub fn excluded(&self) -> impl Iterator<Item = Endpoint> {
        self.excluded.iter().filter_map(|url| url.parse().ok()).map(Endpoint::with_below)
    }
}

impl ConnectionRecord {
    /// The values that stand in the templates of hosts and URLs: everything that is not secret.
    pub fn template_values(&self) -> BTreeMap<String, String> {
        let open = self.fields.iter().filter(|(_, field)| !field.secret);
        let mut values: BTreeMap<String, String> =
            open.map(|(name, field)| (name.clone(), field.value.expose().clone())).collect();
        for (name, value) in [("base_url", &self.base_url), ("tenant", &self.tenant)] {
            if let Some(value) = value {
                values.insert(name.to_owned(), value.clone());
            }
        }
        values
    }

    /// How today's binding differs from the stored one, one line a difference; empty when it does not.
    pub fn binding_changes(&self, today: &Binding) -> Vec<String> {
        let stored = &self.binding;
        let gone = stored.claims.iter().filter(|claim| !today.claims.contains(claim));
        let new = today.claims.iter().filter(|claim| !stored.claims.contains(claim));
        let mut changes: Vec<String> = gone.map(|claim| format!("- {claim}")).collect();
        changes.extend(new.map(|claim| format!("+ {claim}")));
        if stored.placement != today.placement {
            changes.push("the credential is placed in another way".to_owned());
        }
        for (name, before, now) in [
            ("token_url", &stored.token_url, &today.token_url),
            ("revocation_url", &stored.revocation_url, &today.revocation_url),
            ("introspection_url", &stored.introspection_url, &today.introspection_url),
        ] {
            if before != now {
                let shown = |url: &Option<String>| url.clone().unwrap_or_else(|| "none".to_owned());
                changes.push(format!("{name}: {} -> {}", shown(before), shown(now)));
            }
        }
        changes
    }
}

/// A binding that allows nothing.
pub(super) fn unbound() -> Binding {
    let placement = Placement { slots: Vec::new(), clear: Vec::new(), variants: BTreeMap::new() };
    Binding {
        claims: Vec::new(),
        placement,
        token_url: None,
        revocation_url: None,
        introspection_url: None,
        excluded: Vec::new(),
        rest: Map::new(),
    }
}
