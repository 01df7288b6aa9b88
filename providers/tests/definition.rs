//! Definitions as files: what loads, what is refused and how the refusal reads, what survives a rewrite.

#![cfg(test)]

use std::collections::BTreeMap;

use authsome_providers::{
    AuthType, DefinitionError, FlowType, Placement, ProviderDefinition, Registry, Slot, Source, TemplateError,
};
use serde_json::{Value, json};

fn api_key() -> Value {
    json!({
        "schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "api_key", "flow": "api_key",
        "host_url": "api.acme-corp.com", "api_key": {}
    })
}

fn oauth() -> Value {
    json!({
        "name": "acme", "display_name": "Acme", "auth_type": "oauth2", "flow": "pkce", "host_url": "api.acme-corp.com",
        "oauth": {"authorization_url": "https://acme-corp.com/authorize", "token_url": "https://acme-corp.com/token", "scopes": ["read"]}
    })
}

/// The definition with the value at a JSON pointer replaced, or removed for `null`.
fn with(mut base: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    base.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.into(), value);
    base
}

fn load(value: &Value) -> Result<ProviderDefinition, DefinitionError> {
    ProviderDefinition::from_json(&value.to_string())
}

fn failing_field(value: &Value) -> String {
    match load(value) {
        Err(DefinitionError::Field { path, .. }) => path,
        other => panic!("{value}: {:?}", other.map(|definition| definition.to_json())),
    }
}

fn no_values() -> BTreeMap<String, String> {
    BTreeMap::new()
}

fn first_header(placement: &Placement) -> (String, String) {
    let Slot::Header { name, value } = &placement.slots[0] else { panic!("no header") };
    (name.clone(), value.render(|_| Some("K")).unwrap().to_string())
}

#[test]
fn the_smallest_definition_takes_the_defaults() {
    let definition = load(&api_key()).unwrap();
    assert_eq!(
        first_header(&definition.placement(AuthType::ApiKey)),
        ("authorization".into(), "Bearer K".into())
    );
    assert_eq!(definition.placeholder(), "authsome-proxy-managed");
    assert_eq!(definition.exports(), [("api_key".to_owned(), vec!["ACME_API_KEY".to_owned()])]);
    assert_eq!((definition.auth_type(), definition.flow()), (AuthType::ApiKey, FlowType::ApiKey));
    let definition = load(&oauth()).unwrap();
    assert_eq!(definition.exports(), [("access_token".to_owned(), vec!["ACME_ACCESS_TOKEN".to_owned()])]);
}

/// Each value at its pointer makes the definition fail, and the error names the field.
fn refused(rows: &[(&str, Value, &str)]) {
    for (pointer, value, field) in rows {
        assert_eq!(failing_field(&with(api_key(), pointer, value.clone())), *field, "{pointer} {value}");
    }
}

#[test]
fn an_error_names_the_field_that_failed() {
    let long = "a".repeat(65);
    refused(&[
        ("/name", json!(null), "name"),
        ("/name", json!("../x"), "name"),
        ("/name", json!("Acme"), "name"),
        ("/name", json!("-acme"), "name"),
        ("/name", json!("ac me"), "name"),
        ("/name", json!("аcme"), "name"),
        ("/name", json!(long), "name"),
        ("/name", json!(""), "name"),
        ("/name", json!("a\u{0}b"), "name"),
        ("/schema_version", json!(2), "schema_version"),
        ("/display_name", json!(null), "display_name"),
        ("/display_name", json!("A\u{1b}[31m"), "display_name"),
        ("/auth_type", json!("basic"), "auth_type"),
        ("/auth_type", json!("oauth2"), "flow"),
        ("/flow", json!("pkce"), "flow"),
        ("/flow", json!("magic"), "flow"),
        ("/api_key", json!(null), "api_key"),
        ("/api_key", json!("x"), "api_key"),
        ("/placeholder", json!("short"), "placeholder"),
        ("/placeholder", json!("sixteen letters!"), "placeholder"),
        ("/docs_url", json!(["x"]), "docs"),
    ]);
}

#[test]
fn a_host_that_is_none_or_open_to_strangers_is_refused() {
    refused(&[
        ("/host_url", json!("http://api.acme-corp.com"), "host_url[0]"),
        ("/host_url", json!(["api.acme-corp.com", "127.0.0.1"]), "host_url[1]"),
        ("/host_url", json!("localhost"), "host_url[0]"),
        ("/host_url", json!("https://user@api.acme-corp.com"), "host_url[0]"),
        ("/host_url", json!("*.com"), "host_url[0]"),
        ("/host_url", json!("*.zendesk.com"), "host_url[0]"),
        ("/host_url", json!("*.myshopify.com"), "host_url[0]"),
        ("/host_url", json!("*.supabase.co"), "host_url[0]"),
        ("/host_url", json!("regex:("), "host_url[0]"),
        ("/host_url", json!("regex:.*"), "host_url[0]"),
        ("/host_url", json!("{tenant}.com"), "host_url[0]"),
        ("/host_url", json!("{tenant}.co.uk"), "host_url[0]"),
        ("/host_url", json!("api.{tenant}"), "host_url[0]"),
        ("/host_url", json!("{tenant}"), "host_url[0]"),
        ("/host_url", json!("https://x.{base_url}"), "host_url[0]"),
        ("/host_url", json!("{base_url}.evil.test"), "host_url[0]"),
        ("/host_url", json!("{base_url}{base_url}"), "host_url[0]"),
        ("/host_url", json!("{unclosed.acme-corp.com"), "host_url[0]"),
        ("/host_url", json!(["api.acme-corp.com", 7]), "host_url[1]"),
        ("/host_url", json!([{"variant": "git"}]), "host_url[0].url"),
        ("/host_url", json!([{"url": "x.acme-corp.com", "auth_type": "basic"}]), "host_url[0].auth_type"),
        ("/host_url", json!([{"url": "x.acme-corp.com", "variant": "git"}]), "api_key"),
        ("/host_url", json!("{region}.acme-corp.com"), "fields"),
        ("/base_url", json!("http://acme-corp.com"), "base_url"),
        ("/domains", json!([1]), "domains[0]"),
    ]);
}

#[test]
fn a_placement_that_no_request_can_carry_is_refused() {
    refused(&[
        ("/api_key/header_name", json!("Host"), "api_key.header_name"),
        ("/api_key/header_name", json!("content-length"), "api_key.header_name"),
        ("/api_key/header_name", json!("Connection"), "api_key.header_name"),
        ("/api_key/header_name", json!("Transfer-Encoding"), "api_key.header_name"),
        ("/api_key/header_name", json!("Proxy-Authorization"), "api_key.header_name"),
        ("/api_key/header_name", json!("authsome-error"), "api_key.header_name"),
        ("/api_key/header_name", json!("Sec-Fetch-Site"), "api_key.header_name"),
        ("/api_key/header_name", json!("X Y"), "api_key.header_name"),
        ("/api_key/header_name", json!("X:Y"), "api_key.header_name"),
        ("/api_key/header_name", json!(""), "api_key.header_name"),
        ("/api_key/header_name", json!("X\r\nEvil"), "api_key.header_name"),
        ("/api_key/header_prefix", json!("Bearer\r\nx: y"), "api_key.header_prefix"),
        ("/api_key/header_prefix", json!("Bêarer"), "api_key.header_prefix"),
        ("/api_key/header_prefix", json!("{x"), "api_key.header_prefix"),
        ("/api_key/header_prefix", json!("Token token="), "api_key.header_prefix"),
        ("/api_key/key_pattern", json!("("), "api_key.key_pattern"),
        ("/api_key/env_var", json!("AUTHSOME_MASTER_KEY"), "api_key.env_var"),
        ("/api_key/placement", json!({}), "api_key"),
        ("/api_key/placement", json!({"headers": {"x-key": "{other}"}}), "api_key"),
        ("/api_key/placement", json!({"headers": {"x-key": "{api_key}", "x-other": "{other}"}}), "api_key"),
        ("/api_key/placement", json!({"headers": {"x-key": "{api_key}", "x-fixed": "1"}}), "api_key"),
        ("/api_key/placement", json!({"headers": {"te": "{api_key}"}}), "api_key.placement.headers.te"),
        ("/api_key/placement", json!({"query": {"a b": "{api_key}"}}), "api_key.placement.query.a b"),
        (
            "/api_key/placement",
            json!({"basic": {"username": "a:b", "password": "{api_key}"}}),
            "api_key.placement.basic.username",
        ),
        (
            "/api_key/placement",
            json!({"headers": {"Authorization": "{api_key}"}, "basic": {"username": "{api_key}"}}),
            "api_key",
        ),
        ("/api_key/clear", json!({"headers": ["Host"]}), "api_key.clear.headers"),
        ("/api_key/clear", json!({"headers": ["authorization"]}), "api_key"),
    ]);
}

#[test]
fn a_name_of_the_environment_that_programs_act_upon_is_refused() {
    refused(&[
        ("/export", json!({"env": {"api_key": "PATH"}}), "export.env.api_key"),
        ("/export", json!({"env": {"api_key": ["X", "LD_PRELOAD"]}}), "export.env.api_key"),
        ("/export", json!({"env": {"HTTPS_PROXY": "api_key"}}), "export.env.HTTPS_PROXY"),
        ("/export", json!({"env": {"X": "nothing"}}), "export.env.X"),
        ("/export", json!({"env": {"api_key": 1}}), "export.env.api_key"),
        ("/client", json!({"client_secret_env": "NODE_OPTIONS"}), "client.client_secret_env"),
        ("/fields", json!([{"name": "api_key"}]), "fields[0].name"),
        ("/fields", json!([{"name": "A"}]), "fields[0].name"),
        ("/fields", json!([{"name": "a"}, {"name": "a"}]), "fields[1].name"),
        ("/fields", json!([{"name": "a", "env_var": "SSL_CERT_FILE"}]), "fields[0].env_var"),
        ("/fields", json!([{"name": "a", "key_pattern": "x+", "default": "y"}]), "fields[0].default"),
    ]);
}

#[test]
fn an_oauth_endpoint_is_https_to_a_named_host() {
    for url in [
        "http://acme-corp.com/token",
        "https://127.0.0.1/token",
        "https://[::1]/token",
        "https://localhost/token",
        "https://a.localhost/",
        "https://user:pass@acme-corp.com/token",
        "acme-corp.com/token",
        "https://acme-corp.com/token#x",
        "https://0x7f.1/",
        "https:///x",
        "{base_url}.evil.test/token",
        "https://{tenant}/token",
        "https://{tenant}.com/token",
        "javascript:alert(1)",
    ] {
        for key in [
            "token_url",
            "authorization_url",
            "revocation_url",
            "introspection_url",
            "device_authorization_url",
            "registration_endpoint",
        ] {
            assert_eq!(
                failing_field(&with(oauth(), &format!("/oauth/{key}"), json!(url))),
                format!("oauth.{key}"),
                "{url}"
            );
        }
    }
    for key in ["token_url", "authorization_url"] {
        assert_eq!(
            failing_field(&with(oauth(), &format!("/oauth/{key}"), json!(null))),
            format!("oauth.{key}")
        );
    }
    assert_eq!(
        failing_field(&with(oauth(), "/oauth/supports_device_flow", json!(true))),
        "oauth.device_authorization_url"
    );
    assert_eq!(failing_field(&with(oauth(), "/oauth/scopes", json!(7))), "oauth.scopes");
    assert_eq!(failing_field(&with(oauth(), "/oauth/pkce", json!("yes"))), "oauth.pkce");
    assert_eq!(
        failing_field(&with(oauth(), "/flow", json!("device_code"))),
        "oauth.device_authorization_url"
    );
}

#[test]
fn hostile_text_is_refused_before_it_is_read() {
    let refused = |text: &str| ProviderDefinition::from_json(text).unwrap_err();
    assert!(matches!(refused("{\n \"name\": }"), DefinitionError::Syntax { line: 2, .. }));
    assert!(matches!(refused("{\"name\": \"a\", \"name\": \"b\"}"), DefinitionError::Syntax { .. }));
    assert!(refused("{\"oauth\": {\"x\": 1, \"x\": 2}}").to_string().contains("oauth.x is given twice"));
    assert_eq!(refused("[]"), DefinitionError::NotAnObject);
    assert_eq!(refused("null"), DefinitionError::NotAnObject);
    assert!(ProviderDefinition::from_json("").is_err());
    assert_eq!(refused(&" ".repeat(1024 * 1024 + 1)), DefinitionError::TooLarge);
    assert!(matches!(refused(&"[".repeat(100_000)), DefinitionError::Syntax { .. }));
    assert!(matches!(refused(&"{\"a\":".repeat(100_000)), DefinitionError::Syntax { .. }));
    assert!(matches!(refused("{\"a\": 1e309}"), DefinitionError::Syntax { .. }));
    let message = failing_field(&with(oauth(), "/oauth/token_url", json!("http://x.acme-corp.com")));
    assert_eq!(message, "oauth.token_url");
}

#[test]
fn unknown_fields_survive_and_connections_do_not() {
    let mut file = with(api_key(), "/api_key/future", json!({"deep": [1, {"x": null}]}));
    file = with(file, "/sources", json!([{"url": "https://acme-corp.com", "date": "2026-11-21"}]));
    let read = load(&with(file.clone(), "/connections", json!([{"connection_name": "default"}]))).unwrap();
    assert_eq!(read.to_json(), file);
    assert_eq!(load(&read.to_json()).unwrap().to_json(), file);
    assert_eq!(serde_json::to_value(&read).unwrap(), file);
}

#[test]
fn the_python_editions_spellings_load() {
    let text = r#"{
        // the 0.2.x form
        "schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "oauth2", "flow": "dcr_pkce",
        "api_url": "https://api.acme-corp.com/v2", "docs_url": "https://acme-corp.com/docs",
        "oauth": {
            "base_url": "https://acme-corp.com",
            "authorization_url": "{base_url}/oauth/authorize", "token_url": "{base_url}/oauth/token",
            "revocation_url": null, "device_authorization_url": "{base_url}/oauth/device",
            "scopes": ["read", "write"], "pkce": true, "supports_device_code": true, "supports_dcr": true,
        },
        "registration": {"registration_endpoint": "{base_url}/oauth/register"}, /* beside oauth */
        "export": {"env": {"access_token": "ACME_TOKEN", "refresh_token": "ACME_REFRESH_TOKEN"}},
        "metadata": {},
    }"#;
    let definition = ProviderDefinition::from_json(text).unwrap();
    let urls = definition.urls(&no_values()).unwrap();
    assert_eq!(urls.registration.as_deref(), Some("https://acme-corp.com/oauth/register"));
    assert_eq!(urls.revocation, None);
    assert!(definition.oauth().unwrap().supports_device_flow);
    assert_eq!(definition.docs(), Some("https://acme-corp.com/docs"));
    assert_eq!(definition.exports(), [("access_token".to_owned(), vec!["ACME_TOKEN".to_owned()])]);
    assert_eq!(definition.fixed_claims()[0].to_string(), "api.acme-corp.com:443/v2");
    let paths: Vec<_> =
        definition.auth_endpoints(&no_values()).into_iter().map(|endpoint| endpoint.path).collect();
    assert_eq!(paths, ["/oauth/authorize", "/oauth/token", "/oauth/device", "/oauth/register"]);
}

#[test]
fn both_directions_of_export_load() {
    let exports =
        |env: Value| load(&with(api_key(), "/export", json!({ "env": env }))).unwrap().exports().to_vec();
    assert_eq!(exports(json!({"api_key": "A"})), [("api_key".to_owned(), vec!["A".to_owned()])]);
    assert_eq!(
        exports(json!({"A": "api_key", "B": "api_key"})),
        [("api_key".to_owned(), vec!["A".to_owned(), "B".to_owned()])]
    );
    assert_eq!(
        exports(json!({"refresh_token": "R"})),
        [("api_key".to_owned(), vec!["ACME_API_KEY".to_owned()])]
    );
}

#[test]
fn two_spellings_of_one_field_at_once_are_refused() {
    assert_eq!(failing_field(&with(api_key(), "/api_url", json!("evil.acme-corp.com"))), "api_url");
}

#[test]
fn a_null_prefix_is_none_and_an_absent_one_is_bearer() {
    let placed = |block: Value| {
        first_header(&load(&with(api_key(), "/api_key", block)).unwrap().placement(AuthType::ApiKey))
    };
    assert_eq!(placed(json!({"header_name": "X-Key", "header_prefix": null})), ("x-key".into(), "K".into()));
    assert_eq!(placed(json!({"header_name": "X-Key", "header_prefix": ""})), ("x-key".into(), "K".into()));
    assert_eq!(placed(json!({"header_name": "X-Key"})), ("x-key".into(), "Bearer K".into()));
}

#[test]
fn several_headers_and_a_query_parameter_can_be_placed() {
    let file = with(
        with(
            api_key(),
            "/api_key/placement",
            json!({"headers": {"X-Id": "{app_id}", "X-Key": "{api_key}"}, "query": {"sig": "{api_key}"}}),
        ),
        "/fields",
        json!([{"name": "app_id", "secret": true}, {"name": "region", "default": "eu"}]),
    );
    let definition = load(&file).unwrap();
    assert_eq!(definition.placement(AuthType::ApiKey).slots.len(), 3);
    let asked: Vec<_> =
        definition.fields(AuthType::ApiKey).into_iter().map(|field| (field.name, field.secret)).collect();
    assert_eq!(
        asked,
        [("app_id".to_owned(), true), ("region".to_owned(), false), ("api_key".to_owned(), true)]
    );
}

#[test]
fn a_secret_field_never_stands_in_a_host() {
    let file = with(
        with(api_key(), "/fields", json!([{"name": "region", "secret": true}])),
        "/host_url",
        json!("{region}.acme-corp.com"),
    );
    assert_eq!(failing_field(&file), "fields");
}

#[test]
fn values_are_refused_where_the_definition_declares_none() {
    let definition = load(&api_key()).unwrap();
    for name in ["base_url", "tenant"] {
        let values = BTreeMap::from([(name.to_owned(), "https://evil.test".to_owned())]);
        assert_eq!(
            definition.claims(AuthType::ApiKey, &values).unwrap_err(),
            TemplateError::Undeclared(name.into())
        );
    }
}

#[test]
fn a_regex_of_the_python_edition_is_listed_and_not_routed_until_it_has_domains() {
    let file = with(api_key(), "/host_url", json!(r"regex:.*\.acme-corp\.com"));
    let claim = load(&file).unwrap().fixed_claims().remove(0);
    assert!(!claim.is_routable() && !claim.matches_host("api.acme-corp.com", 443));
    let claim = load(&with(file, "/domains", json!(["acme-corp.com"]))).unwrap().fixed_claims().remove(0);
    assert!(claim.is_routable() && claim.matches_host("api.acme-corp.com", 443));
    assert!(!claim.matches_host("api.evilacme-corp.com", 443));
}

#[test]
fn a_custom_definition_wins_by_name_and_a_broken_one_harms_no_other() {
    let mine = with(with(api_key(), "/name", json!("openai")), "/host_url", json!("gateway.acme-corp.com"));
    let (registry, broken) = Registry::with_custom([
        ("openai.json".to_owned(), mine.to_string()),
        ("acme.json".to_owned(), api_key().to_string()),
        ("stripe.json".to_owned(), "{ broken".to_owned()),
        ("other.json".to_owned(), api_key().to_string()),
    ]);
    let openai = registry.provider("openai").unwrap();
    assert_eq!((openai.source, openai.overrides_bundled), (Source::Custom, true));
    assert_eq!(openai.definition.fixed_claims()[0].to_string(), "gateway.acme-corp.com:443/");
    let acme = registry.provider("acme").unwrap();
    assert_eq!((acme.source, acme.overrides_bundled), (Source::Custom, false));
    assert!(registry.provider("anthropic").is_some());
    assert!(registry.provider("stripe").is_none(), "the user replaced it");
    let files: Vec<_> = broken.iter().map(|broken| broken.file.as_str()).collect();
    assert_eq!(files, ["stripe.json", "other.json"]);
    assert!(broken[0].to_string().starts_with("stripe.json: line 1"));
    assert!(matches!(&broken[1].error, DefinitionError::Field { path, .. } if path == "name"));
    assert_eq!(registry.suggest("opnai"), ["openai"]);
}

#[test]
fn both_kinds_of_credential_can_be_offered() {
    let linear = Registry::bundled().provider("linear").unwrap().definition.clone();
    assert!(linear.offers(AuthType::OAuth2) && linear.offers(AuthType::ApiKey));
    assert_eq!(linear.auth_type(), AuthType::OAuth2);
    assert_eq!(linear.fields(AuthType::ApiKey)[0].name, "api_key");
    assert_eq!(linear.fields(AuthType::OAuth2)[0].name, "access_token");
}

#[test]
fn an_endpoint_in_a_tenants_host_needs_the_tenant() {
    let file = with(oauth(), "/oauth/token_url", json!("https://{tenant}.acme-corp.com/token"));
    let definition = load(&file).unwrap();
    assert_eq!(definition.urls(&no_values()).unwrap_err(), TemplateError::Missing("tenant".into()));
    assert_eq!(definition.auth_endpoints(&no_values()).len(), 1);
    let values = BTreeMap::from([("tenant".to_owned(), "mine".to_owned())]);
    assert_eq!(definition.urls(&values).unwrap().token.unwrap(), "https://mine.acme-corp.com/token");
    assert_eq!(definition.fields(AuthType::OAuth2)[0].name, "tenant");
}

#[test]
fn an_error_names_the_line_of_its_field() {
    let line_of = |text: &str| match ProviderDefinition::from_json(text) {
        Err(DefinitionError::Field { line, path, .. }) => (line.unwrap(), path),
        other => panic!("{other:?}"),
    };
    let start = "{\n\"name\": \"acme\", \"display_name\": \"A\", \"auth_type\": \"api_key\",\n\"flow\": \"api_key\",\n";
    for (rest, expected) in [
        ("\"api_key\": {\n\"header_name\": \"Host\"}}", (5, "api_key.header_name")),
        ("\"api_key\": {}, \"host_url\": [\n\"a.acme-corp.com\",\n\"*.com\"]}", (6, "host_url[1]")),
        ("\"api_key\": {},\n\"api_url\":\n\"*.com\"}", (5, "host_url[0]")),
        ("\"api_key\": {},\n\"fields\": [{\"name\": \"a\"},\n{\"name\": \"B\"}]}", (6, "fields[1].name")),
        (
            "\"api_key\":\n{\"placement\": {\"query\": {\n\"a b\": \"{api_key}\"}}}}",
            (6, "api_key.placement.query.a b"),
        ),
        ("\"api_key\": {},\n\"export\": {\"env\": {\n\"PATH\": \"api_key\"}}}", (6, "export.env.PATH")),
        ("\"x\": 1}", (1, "api_key")),
    ] {
        assert_eq!(line_of(&format!("{start}{rest}")), (expected.0, expected.1.to_owned()), "{rest}");
    }
    let error = ProviderDefinition::from_json(&format!("{start}\"api_key\": 7}}")).unwrap_err();
    assert_eq!(error.to_string(), "line 4: `api_key` must be an object, not integer `7`");
    let (_, broken) = Registry::with_custom([("acme.json".to_owned(), format!("{start}\"api_key\": 7}}"))]);
    assert_eq!(broken[0].to_string(), "acme.json: line 4: `api_key` must be an object, not integer `7`");
}

#[test]
fn a_schema_of_the_future_is_refused_before_its_fields_are_read() {
    let error = load(&json!({"schema_version": 2, "name": 7})).unwrap_err().to_string();
    assert!(error.contains("`schema_version` is 2; this version of authsome knows 1 alone"), "{error}");
    assert_eq!(failing_field(&with(api_key(), "/schema_version", json!("1"))), "schema_version");
}

#[test]
fn an_alias_finds_the_definition_and_never_hides_a_name() {
    let mine = with(api_key(), "/aliases", json!(["acme-old", "openai"]));
    let (registry, broken) = Registry::with_custom([("acme.json".to_owned(), mine.to_string())]);
    assert_eq!(broken, []);
    assert_eq!(registry.resolve("acme-old").unwrap().definition.name(), "acme");
    assert!(registry.provider("acme-old").is_none(), "records are matched by name");
    assert_eq!(registry.resolve("openai").unwrap().source, Source::Bundled);
    let broken = ("openai.json".to_owned(), "{".to_owned());
    let (hidden, _) = Registry::with_custom([("acme.json".to_owned(), mine.to_string()), broken]);
    assert!(hidden.resolve("openai").is_none(), "an alias does not step into the place of a broken file");
    assert_eq!(registry.iter().filter(|provider| provider.definition.name() == "acme").count(), 1);
    assert_eq!(failing_field(&with(api_key(), "/aliases", json!(["ok", "../x"]))), "aliases[1]");
}

#[test]
fn what_is_not_routed_claims_nothing_and_says_why() {
    let definition = load(&with(api_key(), "/not_routed", json!("the request has to be signed"))).unwrap();
    assert_eq!(definition.not_routed(), Some("the request has to be signed"));
    assert_eq!(definition.claims(AuthType::ApiKey, &no_values()).unwrap(), []);
    assert_eq!(definition.fixed_claims(), []);
    assert_eq!(failing_field(&with(api_key(), "/not_routed", json!(""))), "not_routed");
}

#[test]
fn what_is_excluded_is_never_injected_into_at_or_below() {
    let file = with(
        api_key(),
        "/excluded",
        json!(["https://api.acme-corp.com/oauth", "https://api.acme-corp.com/mcp"]),
    );
    let excluded = load(&file).unwrap().excluded(&no_values());
    assert_eq!(excluded.len(), 2);
    for path in ["/mcp", "/mcp/tools", "/MCP//x", "/a/../mcp"] {
        assert!(
            excluded.iter().any(|endpoint| endpoint.host == "api.acme-corp.com" && endpoint.may_be(path)),
            "{path}"
        );
    }
    assert!(!excluded.iter().any(|endpoint| endpoint.may_be("/v1/mcp") || endpoint.may_be("/mcps")));
    for refused in ["http://api.acme-corp.com/mcp", "api.acme-corp.com/mcp", "https://127.0.0.1/mcp"] {
        assert_eq!(failing_field(&with(api_key(), "/excluded", json!([refused]))), "excluded[0]");
    }
    for lost in
        ["https://{region}.acme-corp.com/x", "https://api.acme-corp.com/{tenant}/x", "https://evil.test/mcp"]
    {
        assert_eq!(failing_field(&with(api_key(), "/excluded", json!([lost]))), "excluded[0]", "{lost}");
    }
    let all = with(api_key(), "/excluded", json!("https://api.acme-corp.com"));
    assert!(load(&all).unwrap().excluded(&no_values())[0].may_be("/any/thing"));
}

#[test]
fn a_host_can_belong_to_one_kind_of_credential() {
    let both = with(oauth(), "/api_key", json!({}));
    let file = with(
        both,
        "/host_url",
        json!([
            {"url": "oauth.acme-corp.com", "auth_type": "oauth2"},
            {"url": "https://{tenant}.acme-corp.com/api", "auth_type": "api_key"},
            "both.acme-corp.com",
        ]),
    );
    let definition = load(&file).unwrap();
    let tenant = BTreeMap::from([("tenant".to_owned(), "mine".to_owned())]);
    let claims = |auth, values: &BTreeMap<String, String>| -> Vec<String> {
        definition.claims(auth, values).unwrap().iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        claims(AuthType::OAuth2, &no_values()),
        ["oauth.acme-corp.com:443/", "both.acme-corp.com:443/"]
    );
    assert_eq!(claims(AuthType::ApiKey, &tenant), ["mine.acme-corp.com:443/api", "both.acme-corp.com:443/"]);
    let asked = |auth| definition.fields(auth).into_iter().map(|field| field.name).collect::<Vec<_>>();
    assert_eq!(asked(AuthType::OAuth2), ["access_token"]);
    assert_eq!(asked(AuthType::ApiKey), ["tenant", "api_key"]);
    assert_eq!(definition.fixed_claims().len(), 2);
}

#[test]
fn a_host_whose_optional_field_is_not_given_is_left_out() {
    let file = with(
        with(api_key(), "/fields", json!([{"name": "index", "optional": true}])),
        "/host_url",
        json!(["api.acme-corp.com", "{index}.svc.acme-corp.com"]),
    );
    let definition = load(&file).unwrap();
    let claims =
        |values: &BTreeMap<String, String>| definition.claims(AuthType::ApiKey, values).unwrap().len();
    assert_eq!(claims(&no_values()), 1);
    assert_eq!(claims(&BTreeMap::from([("index".to_owned(), String::new())])), 1);
    assert_eq!(claims(&BTreeMap::from([("index".to_owned(), "mine".to_owned())])), 2);
    assert!(
        definition
            .claims(AuthType::ApiKey, &BTreeMap::from([("index".to_owned(), "a.b".to_owned())]))
            .is_err()
    );
}

#[test]
fn oddities_of_an_authorization_server_are_data() {
    let oddities = json!({
        "authorize_params": {"access_type": "offline"}, "scope_separator": ",", "scope_param": "user_scope",
        "client_authentication": "basic", "refresh_tokens": "rotating", "token_pointer": "/authed_user",
        "token_accept": "application/json", "token_body": "json", "redirect": "https_only",
        "revocation": {"method": "DELETE", "body": "json", "token_param": "access_token", "client_authentication": "basic"},
        "account": {"url": "https://api.acme-corp.com/me", "id": "/id", "label": "/name"},
    });
    let mut file = oauth();
    file["oauth"].as_object_mut().unwrap().extend(oddities.as_object().unwrap().clone());
    let definition = load(&file).unwrap();
    let settings = definition.oauth().unwrap();
    assert_eq!(settings.authorize_params["access_type"], "offline");
    assert_eq!(settings.scope_separator.as_deref(), Some(","));
    assert_eq!(settings.revocation.as_ref().unwrap().method.as_deref(), Some("DELETE"));
    for (pointer, value, field) in [
        ("/oauth/authorize_params", json!({"redirect_uri": "https://evil.test"}), "oauth.authorize_params"),
        ("/oauth/authorize_params", json!({"state": "1"}), "oauth.authorize_params"),
        ("/oauth/authorize_params", json!({"a&b": "1"}), "oauth.authorize_params"),
        ("/oauth/client_authentication", json!("tls"), "oauth.client_authentication"),
        ("/oauth/refresh_tokens", json!(true), "oauth.refresh_tokens"),
        ("/oauth/token_pointer", json!("authed_user"), "oauth.token_pointer"),
        ("/oauth/scope_param", json!("a=b"), "oauth.scope_param"),
        ("/oauth/account", json!({"url": "http://api.acme-corp.com/me", "id": "/id"}), "oauth.account.url"),
        ("/oauth/account", json!({"url": "https://api.acme-corp.com/me"}), "oauth.account.id"),
    ] {
        assert_eq!(failing_field(&with(oauth(), pointer, value)), field);
    }
}

#[test]
fn the_json_schema_knows_every_field_that_is_read() {
    let schema = authsome_providers::json_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["schema_version"]["const"], 1);
    for key in
        ["name", "aliases", "not_routed", "host_url", "fields", "oauth", "api_key", "sources", "unverified"]
    {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    let text = schema.to_string();
    for key in ["scope_separator", "registration_endpoint", "key_pattern_hint", "third_party", "variants"] {
        assert!(text.contains(&format!("\"{key}\":")), "{key}");
    }
}

#[test]
fn null_counts_as_absent_in_either_spelling() {
    let mut file = api_key();
    let url = file.as_object_mut().unwrap().remove("host_url").unwrap();
    file["api_url"] = url;
    for (pointer, key) in [
        ("/host_url", "host"),
        ("/docs", "docs"),
        ("/aliases", "aliases"),
        ("/fields", "fields"),
        ("/export", "export"),
    ] {
        assert!(load(&with(file.clone(), pointer, json!(null))).is_ok(), "{key}");
    }
    let device = with(
        with(oauth(), "/oauth/supports_device_flow", json!(null)),
        "/oauth/supports_device_code",
        json!(false),
    );
    assert!(load(&with(device, "/oauth/authorize_params", json!(null))).is_ok());
    assert_eq!(load(&file).unwrap().to_json(), file, "kept as it was written");
}

#[test]
fn a_list_is_no_object() {
    for (pointer, value, field) in [
        ("/client", json!(["A_ID", "A_SECRET"]), "client"),
        ("/export", json!([{}]), "export"),
        ("/api_key", json!([]), "api_key"),
        ("/fields", json!([["region"]]), "fields[0]"),
        ("/api_key/placement", json!([{"x-key": "{api_key}"}]), "api_key.placement"),
        ("/api_key/placement", json!({"basic": ["{api_key}", ""]}), "api_key.placement.basic"),
    ] {
        assert_eq!(failing_field(&with(api_key(), pointer, value)), field);
    }
    assert_eq!(failing_field(&with(oauth(), "/oauth", json!([]))), "oauth");
}

#[test]
fn what_oauth_settings_name_is_as_safe_as_the_endpoints() {
    for (pointer, value, field) in [
        ("/oauth/resource", json!("http://127.0.0.1:1/"), "oauth.resource"),
        ("/oauth/revocation", json!({"method": "GET / HTTP/1.1"}), "oauth.revocation.method"),
        ("/oauth/token_accept", json!("a b"), "oauth.token_accept"),
        ("/oauth/account", json!({"url": "https://evil.test/me", "id": "/id"}), "oauth.account.url"),
    ] {
        assert_eq!(failing_field(&with(oauth(), pointer, value)), field);
    }
}

#[test]
fn a_key_needs_no_field_of_the_oauth_endpoints() {
    let mut file = with(oauth(), "/api_key", json!({}));
    file["oauth"]["token_url"] = json!("https://login.acme-corp.com/{tenant}/token");
    file["host_url"] = json!(["api.acme-corp.com", "login.acme-corp.com"]);
    let definition = load(&file).unwrap();
    assert_eq!(definition.fields(AuthType::ApiKey).len(), 1);
    assert_eq!(definition.fields(AuthType::OAuth2)[0].name, "tenant");
    let endpoints = definition.auth_endpoints(&no_values());
    assert!(
        endpoints.iter().any(|endpoint| endpoint.may_be("/any/token")),
        "not known which, so all of them"
    );
}

#[test]
fn a_definition_has_a_bounded_number_of_hosts() {
    let hosts: Vec<String> = (0..513).map(|number| format!("h{number}.acme-corp.com")).collect();
    assert_eq!(failing_field(&with(api_key(), "/host_url", json!(hosts))), "host_url[512]");
    assert!(load(&with(api_key(), "/host_url", json!(hosts[..512]))).is_ok());
}

#[test]
fn fields_that_nothing_reads_are_known() {
    let mut file = with(api_key(), "/exclude", json!([]));
    file["api_key"]["placement"] = json!({"headers": {"x-key": "{api_key}"}, "cookies": {}});
    file["fields"] = json!([{"name": "a", "secrets": true}]);
    file["docs_url"] = json!("https://acme-corp.com");
    let unknown = load(&file).unwrap().unknown_fields();
    assert_eq!(unknown, ["api_key.placement.cookies", "exclude", "fields[0].secrets"]);
}

#[test]
fn what_reads_like_another_or_reaches_its_hosts_is_told() {
    let registry = Registry::bundled();
    let told = |pointer: &str, value: Value| {
        let mut file = with(api_key(), "/fields", json!([{"name": "sub"}]));
        file["host_url"] = json!("api.acme-corp.com");
        registry.suspicions(&load(&with(file, pointer, value)).unwrap()).join("; ")
    };
    assert_eq!(told("/name", json!("acme")), "");
    for (pointer, value, expected) in [
        ("/name", json!("klaviyo-oauth"), "its name is easily taken for `klaviyo`"),
        ("/aliases", json!(["openai"]), "its name is easily taken for `openai`"),
        ("/host_url", json!("acme.zendesk.com"), "claims acme.zendesk.com, as `zendesk` does"),
        ("/host_url", json!("https://{sub}.zendesk.com/api"), "claims {sub}.zendesk.com, as `zendesk` does"),
        ("/host_url", json!("*.us1.twilio.com"), "claims *.us1.twilio.com, as `twilio` does"),
        ("/host_url", json!("API.openai.com"), "claims api.openai.com, as `openai` does"),
    ] {
        assert!(told(pointer, value).contains(expected), "{expected}");
    }
}

#[test]
fn the_flows_that_a_login_may_take_begin_with_the_default() {
    let flows = |value: &Value| load(value).unwrap().flows();
    assert_eq!(flows(&api_key()), [FlowType::ApiKey]);
    assert_eq!(flows(&oauth()), [FlowType::Pkce]);
    let device = with(oauth(), "/oauth/supports_device_flow", true.into());
    let device = with(device, "/oauth/device_authorization_url", "https://acme-corp.com/device".into());
    let both = with(with(device, "/api_key", json!({})), "/oauth/supports_client_credentials", true.into());
    assert_eq!(
        flows(&both),
        [FlowType::Pkce, FlowType::DeviceCode, FlowType::ClientCredentials, FlowType::ApiKey]
    );
    // Registration needs a place, or a resource whose server tells it.
    let dcr = with(oauth(), "/oauth/supports_dcr", true.into());
    assert_eq!(flows(&dcr), [FlowType::Pkce]);
    let dcr = with(dcr, "/oauth/registration_endpoint", "https://acme-corp.com/register".into());
    assert_eq!(flows(&dcr), [FlowType::Pkce, FlowType::DcrPkce]);
}

#[test]
fn a_flow_for_the_client_itself_needs_a_token_url_alone() {
    for flow in ["client_credentials", "token_exchange"] {
        let alone = with(with(oauth(), "/flow", flow.into()), "/oauth/authorization_url", Value::Null);
        assert_eq!(load(&alone).unwrap().flow().as_str(), flow);
        let without = with(alone, "/oauth/token_url", Value::Null);
        assert_eq!(failing_field(&without), "oauth.token_url");
    }
}

#[test]
fn the_clients_id_stays_open_in_a_revocation_url_and_is_asked_nowhere() {
    let url = "https://acme-corp.com/apps/{client_id}/token";
    let definition = load(&with(oauth(), "/oauth/revocation_url", url.into())).unwrap();
    assert_eq!(definition.urls(&no_values()).unwrap().revocation.as_deref(), Some(url));
    assert!(definition.fields(AuthType::OAuth2).iter().all(|field| field.name != "client_id"));
    let covered = |path: &str| definition.auth_endpoints(&no_values()).iter().any(|place| place.may_be(path));
    assert!(covered("/apps/id-1/token"), "no credential is injected there");
    let elsewhere = with(oauth(), "/oauth/token_url", "https://acme-corp.com/{client_id}/token".into());
    assert_eq!(failing_field(&elsewhere), "fields");
}

#[test]
fn a_refresh_url_is_an_endpoint_like_the_others() {
    let definition =
        load(&with(oauth(), "/oauth/refresh_url", "https://acme-corp.com/refresh".into())).unwrap();
    let refresh = definition.urls(&no_values()).unwrap().refresh;
    assert_eq!(refresh.as_deref(), Some("https://acme-corp.com/refresh"));
    assert!(definition.auth_endpoints(&no_values()).iter().any(|place| place.may_be("/refresh")));
}

#[test]
fn settings_that_would_take_a_request_over_are_refused() {
    for (pointer, value, field) in [
        ("/oauth/token_params", json!({"refresh_token": "x"}), "oauth.token_params"),
        ("/oauth/token_params", json!({"client_secret": "x"}), "oauth.token_params"),
        ("/oauth/token_params", json!({"a": "b\r\nc"}), "oauth.token_params"),
        ("/oauth/authorize_params", json!({"state": "x"}), "oauth.authorize_params"),
        ("/oauth/issuer", json!("http://acme-corp.com"), "oauth.issuer"),
        ("/oauth/subject_token_type", json!("jwt"), "oauth.subject_token_type"),
        ("/oauth/account", json!({"url": "https://acme-corp.com/me", "id": "id"}), "oauth.account"),
        (
            "/oauth/account",
            json!({"url": "https://acme-corp.com/me", "id": "/id", "headers": {"a b": "c"}}),
            "oauth.account.headers",
        ),
    ] {
        assert_eq!(failing_field(&with(oauth(), pointer, value.clone())), field, "{value}");
    }
    let told = json!({"id": "/team/id", "label": "/team/name"});
    assert!(
        load(&with(oauth(), "/oauth/account", told)).is_ok(),
        "the token response tells whose token it is"
    );
}
