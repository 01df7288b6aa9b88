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
    let resource = definition.oauth().and_then(|settings| settings.resource.clone());
    Ok(Binding {
        claims,
        placement: definition.placement(auth_type),
        resource: resource.filter(|_| auth_type == AuthType::OAuth2 && urls.token.is_none()),
        token_url: urls.token,
        revocation_url: urls.revocation,
        refresh_url: urls.refresh,
        introspection_url: urls.introspection,
        issuer: None,
        excluded: definition.excluded(values).iter().map(ToString::to_string).collect(),
        rest: Map::new(),
    })
}

impl Binding {
    /// The endpoints of the authorization server that these tokens are sent to.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        let urls = [&self.token_url, &self.refresh_url, &self.revocation_url, &self.introspection_url];
        urls.into_iter().flatten().filter_map(|url| url.parse().ok())
    }

    /// Takes over the endpoints that a server told, for a definition that names its resource alone.
    pub(super) fn discovered(&mut self, urls: &AuthUrls, issuer: &str) {
        self.token_url.clone_from(&urls.token);
        self.revocation_url.clone_from(&urls.revocation);
        self.introspection_url.clone_from(&urls.introspection);
        self.issuer = Some(issuer.to_owned());
    }

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
        changes.extend(stored.endpoint_changes(today));
        changes
    }
}

impl Binding {
    /// How the endpoints that today's definition names differ from those of the login, one line a difference. What a
    /// server told at login stands while the definition names the same resource.
    pub(super) fn endpoint_changes(&self, today: &Self) -> Vec<String> {
        let told = self.issuer.is_some() && self.resource.is_some() && self.resource == today.resource;
        let pairs = [
            ("resource", &self.resource, &today.resource),
            ("token_url", &self.token_url, &today.token_url),
            ("refresh_url", &self.refresh_url, &today.refresh_url),
            ("revocation_url", &self.revocation_url, &today.revocation_url),
            ("introspection_url", &self.introspection_url, &today.introspection_url),
        ];
        let shown = |url: &Option<String>| url.clone().unwrap_or_else(|| "none".to_owned());
        let differs =
            |before: &Option<String>, now: &Option<String>| before != now && !(told && now.is_none());
        let changed = pairs.into_iter().filter(|(_, before, now)| differs(before, now));
        changed.map(|(name, before, now)| format!("{name}: {} -> {}", shown(before), shown(now))).collect()
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
        refresh_url: None,
        introspection_url: None,
        resource: None,
        issuer: None,
        excluded: Vec::new(),
        rest: Map::new(),
    }
}
