//! Facts about single bundled definitions that a table of hosts and slots does not hold.

#![cfg(test)]

use std::collections::BTreeMap;

use authsome_providers::{
    AuthType, HostPattern, Placement, ProviderDefinition, Registry, Slot, SlotName, canonical,
};

fn definition(name: &str) -> ProviderDefinition {
    Registry::bundled().provider(name).unwrap().definition.clone()
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn tenant() -> BTreeMap<String, String> {
    values(&[("tenant", "acme")])
}

/// What a placement puts where, with every field set to its own name in capitals.
fn placed(placement: &Placement) -> Vec<(SlotName, String)> {
    let field = |name: &str| match name {
        "api_key" => Some("KEY"),
        "access_token" => Some("TOKEN"),
        "account_sid" => Some("AC1"),
        "email" => Some("ann@example.com"),
        _ => None,
    };
    placement
        .slots
        .iter()
        .map(|slot: &Slot| (slot.name(), slot.value().render(field).unwrap().to_string()))
        .collect()
}

fn header(name: &str, value: &str) -> Vec<(SlotName, String)> {
    vec![(SlotName::Header(name.into()), value.into())]
}

#[test]
fn what_would_compete_with_the_slot_is_emptied() {
    assert_eq!(
        definition("anthropic").placement(AuthType::ApiKey).clear,
        [SlotName::Header("authorization".into())]
    );
    let gemini = definition("gemini").placement(AuthType::ApiKey).clear;
    assert_eq!(gemini, [SlotName::Header("authorization".into()), SlotName::Query("key".into())]);
}

#[test]
fn git_over_https_has_a_placement_of_its_own() {
    for (name, host, expected) in [
        ("github", "github.com", "Basic eC1hY2Nlc3MtdG9rZW46VE9LRU4="),
        ("gitlab", "gitlab.com", "Basic b2F1dGgyOlRPS0VO"),
    ] {
        let definition = definition(name);
        let placement = definition.placement(AuthType::OAuth2);
        let claims = definition.claims(AuthType::OAuth2, &BTreeMap::new()).unwrap();
        let repository = canonical("/group/project.git/info/refs?service=git-upload-pack");
        let covering =
            claims.iter().filter(|claim| claim.matches_host(host, 443) && claim.covers(&repository));
        let claim = covering.max_by_key(|claim| claim.specificity()).unwrap();
        assert_eq!(placed(placement.at(claim)), header("authorization", expected));
    }
    let gitlab = definition("gitlab");
    let api = canonical("/api/v4/projects/group%2Fproject");
    let claims = gitlab.claims(AuthType::OAuth2, &BTreeMap::new()).unwrap();
    let claim =
        claims.iter().filter(|claim| claim.covers(&api)).max_by_key(|claim| claim.specificity()).unwrap();
    assert_eq!(placed(gitlab.placement(AuthType::OAuth2).at(claim)), header("authorization", "Bearer TOKEN"));
}

#[test]
fn a_self_managed_gitlab_moves_hosts_and_endpoints_together() {
    let gitlab = definition("gitlab");
    let values = values(&[("base_url", "https://Git.Example.com/gitlab/")]);
    let claims: Vec<String> =
        gitlab.claims(AuthType::OAuth2, &values).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(claims, ["git.example.com:443/gitlab/api", "git.example.com:443/gitlab#git"]);
    assert_eq!(gitlab.urls(&values).unwrap().token.unwrap(), "https://git.example.com/gitlab/oauth/token");
    let endpoints = gitlab.auth_endpoints(&values);
    assert!(endpoints.iter().all(|endpoint| endpoint.host == "git.example.com" && endpoint.path.starts_with("/gitlab/oauth/")));
    assert_eq!(endpoints.len(), 4);
    assert_eq!(gitlab.urls(&BTreeMap::new()).unwrap().revocation.unwrap(), "https://gitlab.com/oauth/revoke");
}

#[test]
fn a_zendesk_key_goes_to_the_tenant_of_its_login_alone() {
    let zendesk = definition("zendesk");
    assert!(zendesk.claims(AuthType::ApiKey, &BTreeMap::new()).is_err());
    for refused in ["evil.test/", "a.b", "", "*", "Acme", "acme.zendesk.com"] {
        assert!(zendesk.claims(AuthType::ApiKey, &values(&[("tenant", refused)])).is_err(), "{refused}");
    }
    let claims = zendesk.claims(AuthType::ApiKey, &tenant()).unwrap();
    assert_eq!(claims[0].to_string(), "acme.zendesk.com:443/api");
    assert!(!claims[0].matches_host("evil.zendesk.com", 443));
    assert!(matches!(claims[0].pattern, HostPattern::Exact(_)));
}

#[test]
fn a_login_asks_what_each_vendor_needs() {
    let asked = |name: &str, auth| {
        let fields = definition(name).fields(auth);
        fields.iter().map(|field| (field.name.clone(), field.secret)).collect::<Vec<_>>()
    };
    let pairs = |list: &[(&str, bool)]| {
        list.iter().map(|(name, secret)| ((*name).to_owned(), *secret)).collect::<Vec<_>>()
    };
    assert_eq!(asked("openai", AuthType::ApiKey), pairs(&[("api_key", true)]));
    assert_eq!(asked("github", AuthType::OAuth2), pairs(&[("access_token", true)]));
    assert_eq!(asked("stripe", AuthType::OAuth2), []);
    assert_eq!(asked("gitlab", AuthType::OAuth2), pairs(&[("base_url", false), ("access_token", true)]));
    assert_eq!(asked("twilio", AuthType::ApiKey), pairs(&[("account_sid", false), ("api_key", true)]));
    assert_eq!(
        asked("zendesk", AuthType::ApiKey),
        pairs(&[("tenant", false), ("email", false), ("api_key", true)])
    );
    let base_url = &definition("gitlab").fields(AuthType::OAuth2)[0];
    assert_eq!(base_url.default.as_deref(), Some("https://gitlab.com"));
}

#[test]
fn login_checks_what_it_is_given() {
    let field = |name: &str, index: usize| definition(name).fields(AuthType::ApiKey)[index].clone();
    assert!(field("slack", 0).check("xoxb-123-abc").is_ok());
    for refused in ["", "xapp-1-A", "xoxb-123-abc\n", " xoxb-123-abc", "Bearer xoxb-123-abc"] {
        assert!(field("slack", 0).check(refused).is_err(), "{refused:?}");
    }
    assert!(field("zendesk", 0).check("acme").is_ok());
    assert!(field("zendesk", 0).check("acme.evil.test").is_err());
    assert!(field("twilio", 0).check(&format!("AC{}", "0".repeat(32))).is_ok());
    assert!(definition("gitlab").fields(AuthType::OAuth2)[0].check("http://gitlab.com").is_err());
}

#[test]
fn exports_hold_the_vendors_names_and_the_python_editions() {
    let names = |name: &str, field: &str| {
        let definition = definition(name);
        definition
            .exports()
            .iter()
            .find(|(own, _)| own == field)
            .map(|(_, names)| names.clone())
            .unwrap_or_default()
    };
    assert_eq!(names("github", "access_token"), ["GH_TOKEN", "GITHUB_TOKEN", "GITHUB_ACCESS_TOKEN"]);
    assert_eq!(names("gemini", "api_key"), ["GEMINI_API_KEY", "GOOGLE_API_KEY"]);
    assert_eq!(names("twilio", "account_sid"), ["TWILIO_ACCOUNT_SID"]);
    for name in ["openai", "anthropic", "stripe", "ashby", "lemlist", "linear", "klaviyo"] {
        let expected = format!("{}_API_KEY", name.to_uppercase());
        assert!(names(name, "api_key").contains(&expected), "{name}");
    }
    assert!(
        Registry::bundled().iter().all(|p| p
            .definition
            .exports()
            .iter()
            .all(|(field, _)| field != "refresh_token"))
    );
    assert_eq!(definition("twilio").env_vars(), ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"]);
}

#[test]
fn a_github_enterprise_server_is_its_host_and_the_paths_of_its_api() {
    let server = definition("github-enterprise");
    let values = values(&[("base_url", "https://github.acme.example")]);
    let claims = server.claims(AuthType::ApiKey, &values).unwrap();
    let placed_at = |target: &str| {
        let path = canonical(target);
        let covering = claims
            .iter()
            .filter(|claim| claim.matches_host("github.acme.example", 443) && claim.covers(&path));
        let claim = covering.max_by_key(|claim| claim.specificity()).unwrap();
        placed(server.placement(AuthType::ApiKey).at(claim))
    };
    assert_eq!(placed_at("/api/v3/user"), header("authorization", "Bearer KEY"));
    assert_eq!(placed_at("/api/graphql"), header("authorization", "Bearer KEY"));
    assert_eq!(
        placed_at("/owner/project.git/info/refs"),
        header("authorization", "Basic eC1hY2Nlc3MtdG9rZW46S0VZ")
    );
    assert!(claims.iter().all(|claim| !claim.matches_host("api.github.com", 443)));
    assert!(server.claims(AuthType::ApiKey, &BTreeMap::new()).is_err(), "there is no default server");
}

#[test]
fn an_okta_token_goes_to_the_org_of_its_login_and_to_its_apis() {
    let okta = definition("okta");
    let values = values(&[("base_url", "https://dev-1.okta.com")]);
    let claims = okta.claims(AuthType::ApiKey, &values).unwrap();
    let goes_to = |host: &str, path: &str| {
        claims.iter().any(|claim| claim.matches_host(host, 443) && claim.covers(&canonical(path)))
    };
    assert!(goes_to("dev-1.okta.com", "/api/v1/users"));
    assert!(!goes_to("dev-1.okta.com", "/login/login.htm") && !goes_to("dev-1.okta.com", "/oauth2/v1/token"));
    assert!(!goes_to("dev-2.okta.com", "/api/v1/users") && !goes_to("dev-1-admin.okta.com", "/api/v1/users"));
    assert_eq!(placed(&okta.placement(AuthType::ApiKey)), header("authorization", "SSWS KEY"));
}
