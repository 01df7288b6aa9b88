//! What holds over the whole registry: every definition loads, rests on evidence, reaches its vendor's hosts alone, and
//! gets in no other's way.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use authsome_providers::{AuthType, Claim, FieldSpec, HostPattern, ProviderDefinition, Registry, Source};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

const KINDS: [AuthType; 2] = [AuthType::OAuth2, AuthType::ApiKey];

/// Pairs that claim one host and path, reviewed: whoever connects both is told so, and says which one is preferred.
const SHARED: &[(&str, &str, &str, &str)] = &[
    (
        "cloudflare",
        "cloudflare-global-key",
        "api.cloudflare.com:443/client/v4",
        "one API, and a person has either a scoped token or the global key",
    ),
    (
        "confluence",
        "jira",
        "api.atlassian.com:443/oauth/token/accessible-resources",
        "each agent of either must ask which sites its token is for; a token of either may ask",
    ),
    (
        "railway",
        "railway-project",
        "backboard.railway.com:443/graphql",
        "one API, and a token of either kind",
    ),
    (
        "railway",
        "railway-project",
        "backboard.railway.com:443/project",
        "one API, and a token of either kind",
    ),
];

/// Globs, reviewed: the vendor alone gives out names below them.
const GLOBS: &[(&str, &str, &str)] = &[
    ("twilio", "*.us1.twilio.com", "Twilio's own products in a region"),
    ("twilio", "*.ie1.twilio.com", "Twilio's own products in a region"),
    ("twilio", "*.au1.twilio.com", "Twilio's own products in a region"),
    ("twilio", "*.ashburn.us1.twilio.com", EDGE),
    ("twilio", "*.dublin.us1.twilio.com", EDGE),
    ("twilio", "*.frankfurt.us1.twilio.com", EDGE),
    ("twilio", "*.sao-paulo.us1.twilio.com", EDGE),
    ("twilio", "*.singapore.us1.twilio.com", EDGE),
    ("twilio", "*.sydney.us1.twilio.com", EDGE),
    ("twilio", "*.tokyo.us1.twilio.com", EDGE),
    ("twilio", "*.umatilla.us1.twilio.com", EDGE),
    ("twilio", "*.dublin.ie1.twilio.com", EDGE),
    ("twilio", "*.sydney.au1.twilio.com", EDGE),
];
const EDGE: &str = "Twilio's own products at an edge; customers' names lie below pstn";

fn all() -> Vec<ProviderDefinition> {
    Registry::bundled().iter().map(|provider| provider.definition.clone()).collect()
}

/// A value that a field of a definition takes; of all values, base URLs alone differ from one to the next.
fn sample(provider: &str, field: &FieldSpec) -> String {
    if let Some(default) = &field.default {
        return default.clone();
    }
    let base_url = format!("https://{provider}.example.com");
    let usual = [base_url.as_str(), "sample", "us-east-1", "us1", "ann@example.com"];
    let usual = usual.into_iter().filter(|text| text.starts_with("https:") == (field.name == "base_url"));
    if let Some(text) = usual.into_iter().find(|text| field.check(text).is_ok()) {
        return text.into();
    }
    let pattern = field.pattern.as_ref().unwrap();
    let strategy = proptest::string::string_regex(pattern.as_str()).unwrap();
    let mut runner = TestRunner::deterministic();
    (0..1000)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .find(|text| field.check(text).is_ok())
        .unwrap()
}

/// The claims of a connection that gives every field a value.
fn claims(definition: &ProviderDefinition, auth: AuthType) -> Vec<Claim> {
    let fields = definition.fields(auth);
    let values: BTreeMap<String, String> =
        fields.iter().map(|field| (field.name.clone(), sample(definition.name(), field))).collect();
    definition.claims(auth, &values).unwrap_or_else(|error| panic!("{}: {error}", definition.name()))
}

/// All claims with the names of their definitions.
fn all_claims() -> Vec<(String, Claim)> {
    let mut list = Vec::new();
    for definition in all() {
        for auth in KINDS.into_iter().filter(|auth| definition.offers(*auth)) {
            for claim in claims(&definition, auth) {
                let entry = (definition.name().to_owned(), claim);
                if !list.contains(&entry) {
                    list.push(entry);
                }
            }
        }
    }
    list
}

#[test]
fn the_review_finds_nothing_to_mend() {
    let output = Command::new(env!("CARGO_BIN_EXE_check")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let readme = include_str!("../../README.md");
    let figures: Vec<&str> = text
        .lines()
        .take(2)
        .flat_map(|line| line.split(|letter: char| !letter.is_ascii_digit()))
        .filter(|part| !part.is_empty())
        .collect();
    let [all, routed, not, verified, unverified] = figures[..] else { panic!("{text}") };
    for figure in [
        format!("{all} definitions are bundled; {routed} are routed, {not} say why they are not"),
        format!("{verified} rest on the vendor's own pages"),
        format!("{unverified} are marked as unverified"),
    ] {
        assert!(readme.replace('\n', " ").contains(&figure), "README.md lacks: {figure}");
    }
}

#[test]
fn every_file_is_a_definition_of_its_name_and_nothing_else_is_bundled() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/definitions");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let texts = files.iter().map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    });
    let (custom, broken) = Registry::with_custom(texts);
    assert_eq!(broken, []);
    let registry = Registry::bundled();
    let names: Vec<_> = registry.iter().map(|provider| provider.definition.name().to_owned()).collect();
    assert_eq!(names.len(), files.len());
    assert!(names.is_sorted());
    assert_eq!(custom.names(), names.iter().map(String::as_str).collect());
    assert!(registry.iter().all(|one| one.source == Source::Bundled && !one.overrides_bundled));
    for name in &names {
        assert_eq!(registry.provider(name).unwrap().definition.name(), name);
    }
}

#[test]
fn an_alias_is_no_name_and_leads_to_one_definition() {
    let names: BTreeSet<String> = all().iter().map(|definition| definition.name().to_owned()).collect();
    let mut seen = BTreeSet::new();
    for definition in all() {
        for alias in definition.aliases() {
            assert!(!names.contains(alias), "{alias} is a name");
            assert!(seen.insert(alias.clone()), "{alias} is given twice");
            assert_eq!(Registry::bundled().resolve(alias).unwrap().definition.name(), definition.name());
        }
    }
    assert_eq!(Registry::bundled().resolve("klaviyo-oauth").unwrap().definition.name(), "klaviyo");
}

#[test]
fn no_two_claim_the_same_hosts_and_paths_unless_it_was_reviewed() {
    let claims = all_claims();
    let mut found = BTreeSet::new();
    for (at, (one, claim)) in claims.iter().enumerate() {
        for (other, rival) in &claims[at + 1..] {
            if one != other && claim.specificity() == rival.specificity() && overlap(claim, rival) {
                found.insert((one.as_str(), other.as_str(), claim.to_string()));
            }
        }
    }
    let found: BTreeSet<_> = found.iter().map(|(one, other, claim)| (*one, *other, claim.as_str())).collect();
    let reviewed: BTreeSet<_> = SHARED.iter().map(|(one, other, claim, _)| (*one, *other, *claim)).collect();
    assert_eq!(found, reviewed);
}

/// Whether some host and path belong to both: exact names and globs, label by label.
fn overlap(one: &Claim, other: &Claim) -> bool {
    let (first, second) = (one.pattern.to_string(), other.pattern.to_string());
    let (first, second): (Vec<_>, Vec<_>) = (first.split('.').collect(), second.split('.').collect());
    let labels = first.len() == second.len()
        && first.iter().zip(&second).all(|(one, other)| one == other || *one == "*" || *other == "*");
    one.port == other.port && one.path == other.path && labels
}

#[test]
fn no_claim_reaches_a_look_alike() {
    for (name, claim) in all_claims() {
        assert!(claim.is_routable() && claim.port == 443, "{name}: {claim}");
        for suffix in claim.permitted_suffix() {
            for host in look_alikes(suffix) {
                assert!(!claim.matches_host(&host, 443), "{name}: {claim} matches {host}");
            }
            assert!(!claim.matches_host(suffix, 80), "{name}: {claim}");
        }
    }
}

fn look_alikes(suffix: &str) -> Vec<String> {
    let mut hosts = vec![
        format!("evil{suffix}"),
        format!("evil-{suffix}"),
        format!("{suffix}.evil.test"),
        format!("{suffix}evil.test"),
        format!("{suffix}x"),
        suffix.replacen('.', "x", 1),
        suffix.replacen('.', "-", 1),
        format!("a.b.c.d.{suffix}"),
        format!(".{suffix}"),
    ];
    // Cyrillic letters that look like Latin ones, as they travel (RFC 5891).
    for (latin, cyrillic) in
        [('a', 'а'), ('c', 'с'), ('e', 'е'), ('i', 'і'), ('o', 'о'), ('p', 'р'), ('x', 'х'), ('s', 'ѕ')]
    {
        if suffix.contains(latin) {
            let written = suffix.replacen(latin, &cyrillic.to_string(), 1);
            hosts.push(idna::domain_to_ascii(&written).unwrap());
            hosts.push(written);
        }
    }
    hosts
}

#[test]
fn no_pattern_matches_a_host_of_another_provider() {
    let claims = all_claims();
    let exact: Vec<_> = claims
        .iter()
        .filter_map(|(name, claim)| match &claim.pattern {
            HostPattern::Exact(host) => Some((name, host)),
            _ => None,
        })
        .collect();
    for (name, claim) in claims.iter().filter(|(_, claim)| !matches!(claim.pattern, HostPattern::Exact(_))) {
        for (owner, host) in &exact {
            assert!(
                name == *owner || !claim.matches_host(host, 443),
                "{name}: {claim} matches {host} of {owner}"
            );
        }
    }
}

#[test]
fn every_glob_was_reviewed_and_none_is_a_regex() {
    let mut found = BTreeSet::new();
    for (name, claim) in all_claims() {
        match &claim.pattern {
            HostPattern::Exact(_) => {}
            HostPattern::Glob(_) => {
                found.insert((name, claim.pattern.to_string()));
            }
            HostPattern::Regex(_) => panic!("{name}: a bundled definition needs no regex: {claim}"),
        }
    }
    let reviewed: BTreeSet<_> =
        GLOBS.iter().map(|(name, glob, _)| ((*name).to_owned(), (*glob).to_owned())).collect();
    assert_eq!(found, reviewed);
}

#[test]
fn a_claim_reads_back_from_its_text() {
    for (_, claim) in all_claims() {
        assert_eq!(claim.to_string().parse::<Claim>().unwrap(), claim);
    }
}

#[test]
fn the_table_of_names_agrees_with_the_definitions() {
    let mut expected = BTreeSet::new();
    for definition in all() {
        for claim in definition.fixed_claims() {
            expected.extend(claim.permitted_suffix().into_iter().map(str::to_owned));
        }
    }
    let table = Registry::bundled().suffixes();
    let differing: Vec<_> = table.symmetric_difference(&expected).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

#[test]
fn what_is_not_routed_claims_nothing() {
    for definition in all().iter().filter(|definition| definition.not_routed().is_some()) {
        for auth in KINDS.into_iter().filter(|auth| definition.offers(*auth)) {
            assert_eq!(claims(definition, auth), []);
        }
    }
}
