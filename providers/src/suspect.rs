//! What a person should be told about a custom definition: that it looks like a bundled one, or takes over its hosts.

use crate::claim::Claim;
use crate::pattern::HostPattern;
use crate::{ProviderDefinition, Registry, Source};

/// Sentences about a custom definition, none if there is nothing to tell.
pub(crate) fn suspicions(registry: &Registry, custom: &ProviderDefinition) -> Vec<String> {
    let mut sentences = Vec::new();
    let others = registry.iter().filter(|other| other.source == Source::Bundled);
    for other in others.map(|provider| &provider.definition).filter(|other| other.name() != custom.name()) {
        let name = other.name();
        if is_look_alike(custom.name(), name) {
            sentences.push(format!("the name is easily taken for the bundled `{name}`"));
        }
        let shared: Vec<String> = shared(&custom.fixed_claims(), &other.fixed_claims());
        if !shared.is_empty() {
            sentences.push(format!("claims {}, which the bundled `{name}` claims too", shared.join(", ")));
        }
    }
    sentences
}

/// Whether one name reads like the other, or is a single slip of the keyboard away from it.
fn is_look_alike(one: &str, other: &str) -> bool {
    skeleton(one) == skeleton(other) || (other.len() >= 5 && is_slip(one, other))
}

/// A name as a hasty reader sees it.
fn skeleton(name: &str) -> String {
    let plain = name.replace(['-', '_'], "").replace("rn", "m").replace("vv", "w");
    plain.replace(['1', 'i'], "l").replace('0', "o").replace('5', "s")
}

/// One letter for another, or two that changed places.
fn is_slip(one: &str, other: &str) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let wrong: Vec<usize> = (0..one.len()).filter(|&at| one[at] != other[at]).collect();
    match wrong[..] {
        [at] => !one[at].is_ascii_digit(),
        [at, next] => next == at + 1 && one[at] == other[next] && one[next] == other[at],
        _ => false,
    }
}

/// The hosts that both reach.
fn shared(claims: &[Claim], others: &[Claim]) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for (one, other) in claims.iter().flat_map(|one| others.iter().map(move |other| (one, other))) {
        let met = match (&one.pattern, &other.pattern) {
            (_, HostPattern::Exact(host)) if one.pattern.matches(host) => host,
            (HostPattern::Exact(host), _) if other.pattern.matches(host) => host,
            _ => continue,
        };
        if !hosts.contains(met) {
            hosts.push(met.clone());
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_read_like_others_are_told() {
        for (custom, bundled) in [
            ("opena1", "openai"),
            ("open-ai", "openai"),
            ("0penai", "openai"),
            ("anthorpic", "anthropic"),
            ("strlpe", "stripe"),
            ("github_", "github"),
            ("paqerduty", "pagerduty"),
        ] {
            assert!(is_look_alike(custom, bundled), "{custom}");
        }
        for (custom, bundled) in
            [("acme", "openai"), ("github2", "github"), ("work-github", "github"), ("exb", "exa")]
        {
            assert!(!is_look_alike(custom, bundled), "{custom}");
        }
    }
}
