//! The table with every bundled definition connected at once.

use std::collections::BTreeMap;

use authsome_providers::{AuthType, ProviderDefinition, Registry};

use super::*;

/// A connection's part: every field of a host has the value `sample`.
fn candidate(definition: &ProviderDefinition, auth: AuthType) -> Candidate {
    let values: BTreeMap<String, String> = definition
        .fields(auth)
        .into_iter()
        .map(|field| {
            let sample = if field.name == "base_url" { "https://base.example.com" } else { "sample" };
            (field.name, field.default.unwrap_or_else(|| sample.to_owned()))
        })
        .collect();
    let claims = definition.claims(auth, &values).unwrap();
    Candidate {
        provider: definition.name().into(),
        connection: "default".into(),
        standing: Standing::Connected,
        bound: claims.iter().map(ToString::to_string).collect(),
        claims,
        endpoints: definition.auth_endpoints(&values),
        excluded: definition.excluded(&values),
    }
}

fn everything() -> (Routes, Vec<Endpoint>) {
    let registry = Registry::bundled();
    let mut candidates = Vec::new();
    for provider in registry.iter() {
        for auth in [AuthType::ApiKey, AuthType::OAuth2] {
            if provider.definition.offers(auth) {
                candidates.push(candidate(&provider.definition, auth));
            }
        }
    }
    let endpoints =
        candidates.iter().flat_map(|one| one.endpoints.iter().chain(&one.excluded).cloned()).collect();
    (Routes::compile(candidates, Vec::new()), endpoints)
}

#[test]
fn no_endpoint_that_issues_tokens_is_ever_injected_into() {
    let (routes, endpoints) = everything();
    assert!(endpoints.len() > 100, "{}", endpoints.len());
    for endpoint in endpoints {
        let origin = Origin::with_default_port(&endpoint.host, endpoint.port).unwrap();
        let below = endpoint.and_below.then(|| format!("{}/below", endpoint.path));
        let usual = [endpoint.path.clone(), endpoint.path.to_uppercase(), format!("{}/", endpoint.path)];
        for path in usual.into_iter().chain(below) {
            assert!(
                matches!(routes.lookup(&origin, &path), Lookup::None),
                "https://{}{path} is injected into",
                endpoint.host
            );
        }
        // The rest of a host that is excluded in part is routed: it is the path that makes the difference.
        let elsewhere = routes.candidates(&origin).iter().any(|route| {
            let path = format!("{}/elsewhere", route.claim.path.as_str().trim_end_matches('/'));
            matches!(routes.lookup(&origin, &path), Lookup::Route(_))
        });
        assert!(elsewhere || !endpoint.and_below, "{}", endpoint.host);
    }
}

#[test]
fn upper_case_and_one_trailing_dot_are_the_same_host() {
    let (routes, _) = everything();
    for name in Registry::bundled().suffixes() {
        let origin = |text: &str| Origin::with_default_port(text, 443).unwrap();
        // A glob's domain is no host of its own.
        let name = if routes.exact.contains_key(name.as_str()) { name } else { format!("any.{name}") };
        for text in [name.clone(), name.to_uppercase(), format!("{name}.")] {
            assert_eq!(routes.verdict(&origin(&text)), Verdict::Intercept, "{text}");
        }
        assert_eq!(routes.verdict(&origin(&format!("{name}.evil.test"))), Verdict::PassThrough, "{name}");
        assert!(Origin::with_default_port(&format!("{name}.."), 443).is_err(), "{name}");
    }
}

#[test]
fn a_pattern_is_found_by_the_domain_that_it_stays_within() {
    let claim = |url: &str, domains: &[&str]| {
        let domains: Vec<String> = domains.iter().map(|domain| (*domain).to_owned()).collect();
        Claim::parse_host_url(url, &domains).unwrap()
    };
    let part = |provider: &str, claims: Vec<Claim>| Candidate {
        provider: provider.into(),
        connection: "default".into(),
        standing: Standing::Connected,
        bound: claims.iter().map(ToString::to_string).collect(),
        claims,
        endpoints: Vec::new(),
        excluded: Vec::new(),
    };
    let routes = Routes::compile(
        vec![
            part("glob", vec![claim("*.svc.acme-corp.com", &[])]),
            part("inner", vec![claim("api.*.acme-corp.com", &[])]),
            part(
                "regex",
                vec![claim("regex:x[0-9]\\.acme-corp\\.(com|org)", &["acme-corp.com", "acme-corp.org"])],
            ),
        ],
        Vec::new(),
    );
    let owner = |host: &str| {
        let origin = Origin::with_default_port(host, 443).unwrap();
        match routes.lookup(&origin, "/") {
            Lookup::Route(route) => route.provider.to_string(),
            Lookup::None => "none".to_owned(),
            Lookup::Ambiguous => "several".to_owned(),
        }
    };
    for (host, expected) in [
        ("a.svc.acme-corp.com", "glob"),
        ("api.svc.acme-corp.com", "several"),
        ("api.eu.acme-corp.com", "inner"),
        ("x1.acme-corp.com", "regex"),
        ("x1.acme-corp.org", "regex"),
        ("x1.acme-corp.net", "none"),
        ("a.b.svc.acme-corp.com", "none"),
        ("svc.acme-corp.com", "none"),
        ("acme-corp.com", "none"),
    ] {
        assert_eq!(owner(host), expected, "{host}");
    }
    assert!(routes.lies_at_or_below("acme-corp.com") && !routes.lies_at_or_below("corp.com"));
}
