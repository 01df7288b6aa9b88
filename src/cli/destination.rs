//! Where a credential goes, for a person who decides about it.

use std::collections::BTreeMap;

use authsome_providers::{AuthType, Claim, HostPattern, ProviderDefinition};
use serde_json::Value;

/// The hosts of a definition for one connection's values; as they are written where a value is missing.
pub(super) fn hosts(
    definition: &ProviderDefinition,
    auth_type: AuthType,
    values: &BTreeMap<String, String>,
) -> Vec<String> {
    match definition.claims(auth_type, values) {
        Ok(claims) => claims.iter().map(readable).collect(),
        Err(_) => written(definition),
    }
}

/// A stored claim, by its canonical text.
pub(super) fn stored(claim: &str) -> String {
    claim.parse().as_ref().map_or_else(|_| claim.to_owned(), readable)
}

/// A claim without what goes without saying: port 443, all paths.
fn readable(claim: &Claim) -> String {
    let text = claim.to_string();
    if matches!(claim.pattern, HostPattern::Regex(_)) {
        return text;
    }
    let (text, _) = text.rsplit_once('#').unwrap_or((&text, ""));
    let path = text.find('/').unwrap_or(text.len());
    let (authority, path) = text.split_at(path);
    let host = authority.strip_suffix(":443").unwrap_or(authority);
    format!("{host}{}", if path == "/" { "" } else { path })
}

/// `host_url` as the definition has it.
fn written(definition: &ProviderDefinition) -> Vec<String> {
    let raw = definition.to_json();
    let hosts = raw.get("host_url").or_else(|| raw.get("api_url")).cloned().unwrap_or_default();
    let items = match hosts {
        Value::Array(items) => items,
        one => vec![one],
    };
    let text = |item: &Value| item.as_str().or(item["url"].as_str()).unwrap_or_default().to_owned();
    items.iter().map(|item| text(item).trim_start_matches("https://").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::stored;

    #[test]
    fn what_goes_without_saying_is_left_out() {
        for (claim, text) in [
            ("api.acme.test:443/", "api.acme.test"),
            ("api.acme.test:8443/v1", "api.acme.test:8443/v1"),
            ("api.acme.test:443/v1", "api.acme.test/v1"),
            ("github.com:443/#git", "github.com"),
            ("no claim", "no claim"),
        ] {
            assert_eq!(stored(claim), text);
        }
    }
}
