//! Host patterns, claims and endpoints, each against a reference so plain that it is easily believed.

#![cfg(test)]

use authsome_providers::{Claim, HostPattern, canonical};
use proptest::prelude::*;

/// Few letters and few labels, so that hosts and patterns often meet.
fn label() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("api"), Just("x-1"), Just("evil"), Just("apiexample")]
        .prop_map(str::to_owned)
}

fn domain() -> impl Strategy<Value = String> {
    prop_oneof![Just("example.com"), Just("corp.example.org"), Just("acme-corp.co.uk")]
        .prop_map(str::to_owned)
}

fn host() -> impl Strategy<Value = String> {
    (prop::collection::vec(label(), 0..4), prop_oneof![domain(), label(), Just("com".to_owned())])
        .prop_map(|(labels, domain)| labels.into_iter().chain([domain]).collect::<Vec<_>>().join("."))
}

fn glob() -> impl Strategy<Value = String> {
    let part = prop_oneof![Just("*".to_owned()), label()];
    (prop::collection::vec(part, 0..4), domain())
        .prop_map(|(labels, domain)| labels.into_iter().chain([domain]).collect::<Vec<_>>().join("."))
}

/// Label by label: a star is any one label.
fn reference(pattern: &str, host: &str) -> bool {
    let (pattern, host): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), host.split('.').collect());
    pattern.len() == host.len()
        && pattern.iter().zip(host).all(|(want, have)| *want == have || (*want == "*" && !have.is_empty()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_glob_matches_what_the_reference_matches(pattern in glob(), host in host()) {
        let built = HostPattern::host_or_glob(&pattern).unwrap();
        prop_assert_eq!(built.matches(&host), reference(&pattern, &host));
    }

    #[test]
    fn whatever_is_matched_lies_below_a_permitted_suffix(pattern in glob(), host in host()) {
        let built = HostPattern::host_or_glob(&pattern).unwrap();
        if built.matches(&host) {
            let below = |suffix: &&str| host == **suffix || host.ends_with(&format!(".{suffix}"));
            prop_assert!(built.permitted_suffixes().iter().any(below));
        }
    }

    #[test]
    fn a_regex_of_alternatives_is_a_set(names in prop::collection::vec(host(), 1..4), host in host(), domain in domain()) {
        let alternatives = names.iter().map(|name| name.replace('.', "[.]")).collect::<Vec<_>>().join("|");
        let Ok(built) = HostPattern::regex(&alternatives, std::slice::from_ref(&domain)) else { return Ok(()) };
        let within = host == domain || host.ends_with(&format!(".{domain}"));
        prop_assert_eq!(built.matches(&host), within && names.contains(&host));
    }

    #[test]
    fn a_path_is_covered_by_its_own_leading_segments(
        prefix in prop::collection::vec(label(), 0..4), path in prop::collection::vec(label(), 0..5), port in 1..=u16::MAX,
    ) {
        let claim = Claim::parse_host_url(&format!("https://api.example.com:{port}/{}", prefix.join("/")), &[]).unwrap();
        let target = format!("/{}", path.join("/"));
        prop_assert_eq!(claim.covers(&canonical(&target)), path.starts_with(&prefix));
        prop_assert!(claim.matches_host("api.example.com", port) && !claim.matches_host("api.example.com", port ^ 1));
    }

    #[test]
    fn arbitrary_text_never_panics_and_reads_back(text in "\\PC{0,40}") {
        if let Ok(claim) = Claim::parse_host_url(&text, &[]) {
            prop_assert_eq!(claim.to_string().parse::<Claim>().unwrap(), claim);
        }
    }
}
