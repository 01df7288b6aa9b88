use super::*;

const STORED: &str = r#"{"schema_version":1,"provider":"twilio","profile":"default","connection_name":"work",
    "auth_type":"api_key","status":"connected","api_key":"sk-canary","refresh_token":"rt-canary",
    "expires_at":"2026-11-21T16:00:00Z","obtained_at":null,"base_url":"https://twilio.example.com",
    "fields":{"account_sid":{"value":"AC1","secret":false},"pin":{"value":"pin-canary","secret":true,"later":1}},
    "binding":{"claims":["api.twilio.com:443/"],"placement":{"slots":[],"shape":"round"},"proof":"x"},
    "account":{"id":"7","tier":"gold"},"metadata":{"note":1},"invented_later":{"a":[1]}}"#;

fn stored() -> ConnectionRecord {
    decode("k", STORED.as_bytes()).unwrap()
}

#[test]
fn a_record_survives_a_rewrite_with_the_fields_of_other_versions() {
    let rewritten: Value = serde_json::from_slice(encode(&stored()).expose()).unwrap();
    let mut expected: Value = serde_json::from_str(STORED).unwrap();
    let object = expected.as_object_mut().unwrap();
    object.remove("obtained_at");
    for (path, name) in [("/fields/pin", "later"), ("/binding/placement", "shape")] {
        expected.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name);
    }
    assert_eq!(rewritten, expected);
}

#[test]
fn fields_are_found_by_name_and_the_refresh_token_is_none() {
    let record = stored();
    for (name, value) in [
        ("api_key", Some("sk-canary")),
        ("account_sid", Some("AC1")),
        ("pin", Some("pin-canary")),
        ("base_url", Some("https://twilio.example.com")),
        ("tenant", None),
        ("refresh_token", None),
        ("provider", None),
    ] {
        assert_eq!(record.field(name), value, "{name}");
    }
}

#[test]
fn what_is_shown_or_printed_for_debugging_has_no_secret() {
    let record = stored();
    let shown = record.redacted().to_string();
    assert!(shown.contains("AC1") && shown.contains(REDACTED) && shown.contains("refresh_token"), "{shown}");
    for text in [shown, format!("{record:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
    let names: Vec<&str> = record.secrets().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["api_key", "refresh_token", "pin"]);
}

#[test]
fn a_record_that_cannot_be_read_is_named_without_its_values() {
    let key = "profile:default:twilio:connection:work";
    for damaged in
        [STORED.replace("\"sk-canary\"", "[\"sk-canary\"]"), STORED.replace("2026-11-21T16", "canary")]
    {
        let error = decode::<ConnectionRecord>(key, damaged.as_bytes()).unwrap_err();
        assert!(matches!(error, RecordError::Form { .. }));
        assert!(!error.to_string().contains("canary") && error.to_string().contains(key), "{error}");
    }
    let newer = STORED.replace("\"schema_version\":1", "\"schema_version\":2");
    let error = decode::<ConnectionRecord>(key, newer.as_bytes()).unwrap_err();
    assert!(matches!(error, RecordError::TooNew { found: 2, .. }));
}

#[test]
fn a_connection_expires_by_the_clock_and_sealed_is_never_stored() {
    let record = stored();
    let end = record.expires_at.unwrap();
    assert_eq!(record.status_at(end - 1), ConnectionStatus::Connected);
    assert_eq!(record.status_at(end), ConnectionStatus::Expired);
    let sealed = STORED.replace("\"connected\"", "\"sealed\"");
    assert!(decode::<ConnectionRecord>("k", sealed.as_bytes()).is_err());
}

#[test]
fn the_first_connection_is_the_default_until_it_goes() {
    let mut metadata = ProviderMetadata::new("default", "github");
    ["work", "home", "work"].iter().for_each(|name| metadata.add(name));
    assert_eq!(metadata.connection_names, ["work", "home"]);
    assert_eq!(metadata.default_connection.as_deref(), Some("work"));
    metadata.remove("work");
    assert_eq!(metadata.default_connection.as_deref(), Some("home"));
    metadata.remove("home");
    assert_eq!(metadata.default_connection, None);
}

#[test]
fn keys_are_those_of_the_specification() {
    let keys = Keys { profile: "work" };
    assert_eq!(keys.connection("github", "default"), "profile:work:github:connection:default");
    assert_eq!(keys.parse_connection("profile:work:github:connection:a"), Some(("github", "a")));
    for other in
        ["profile:work:github:client", "profile:home:github:connection:a", "profile:work:g:connection:a:b"]
    {
        assert_eq!(keys.parse_connection(other), None);
    }
}
