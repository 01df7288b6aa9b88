//! What a person should be told about a custom definition: that it reads like another one, or reaches its hosts.

use std::collections::BTreeSet;

use crate::pattern::HostPattern;
use crate::{ProviderDefinition, Registry};

/// Sentences about a custom definition, none if there is nothing to tell.
pub(crate) fn suspicions(registry: &Registry, custom: &ProviderDefinition) -> Vec<String> {
    let mut sentences = Vec::new();
    let names: Vec<&str> = names(custom).collect();
    let reaches = custom.reaches();
    for other in
        registry.iter().map(|provider| &provider.definition).filter(|other| other.name() != custom.name())
    {
        let name = other.name();
        if self::names(other).any(|known| names.iter().any(|own| is_look_alike(own, known))) {
            sentences.push(format!("its name is easily taken for `{name}`"));
        }
        let shared = shared(&reaches, &other.reaches());
        if !shared.is_empty() {
            let shared: Vec<&str> = shared.into_iter().collect();
            sentences.push(format!("claims {}, as `{name}` does", shared.join(", ")));
        }
    }
    sentences
}

fn names(definition: &ProviderDefinition) -> impl Iterator<Item = &str> {
    std::iter::once(definition.name()).chain(definition.aliases().iter().map(String::as_str))
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

/// Hosts that a definition reaches, whatever its fields hold: labels, of which a star is any.
pub(crate) struct Reach {
    /// As a person reads it.
    pub(crate) text: String,
    /// The hosts, a star for each field; a regex has none.
    pub(crate) host: Option<String>,
    pub(crate) pattern: HostPattern,
}

/// The hosts that both reach, as the first one writes them.
fn shared<'a>(own: &'a [Reach], others: &[Reach]) -> BTreeSet<&'a str> {
    let met = own.iter().filter(|one| others.iter().any(|other| meet(one, other)));
    met.map(|one| one.text.as_str()).collect()
}

fn meet(one: &Reach, other: &Reach) -> bool {
    match (&one.host, &other.host) {
        (Some(one), Some(other)) => {
            one.split('.').count() == other.split('.').count()
                && one
                    .split('.')
                    .zip(other.split('.'))
                    .all(|(one, other)| one == other || one.contains('*') || other.contains('*'))
        }
        (None, Some(host)) => one.pattern.matches(host),
        (Some(host), None) => other.pattern.matches(host),
        (None, None) => one.pattern == other.pattern,
    }
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
