use authsome_providers::definition::{ClientAuthentication, ProviderDefinition};
use authsome_providers::{AuthUrls, OAuth};
use serde_json::{Value, json};

use super::super::scripted::{self, Reply, Scripted, answer};
use super::*;
use crate::clock::SystemClock;

const TOKEN: &str = "https://auth.example.com/token";

/// A provider with these settings besides its URLs.
fn definition(settings: Value) -> ProviderDefinition {
    let mut oauth = json!({
        "authorization_url": "https://auth.example.com/authorize?tenant=a", "token_url": TOKEN,
        "revocation_url": "https://auth.example.com/revoke", "introspection_url": "https://auth.example.com/introspect",
        "device_authorization_url": "https://auth.example.com/device",
        "registration_endpoint": "https://auth.example.com/register",
    });
    oauth.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let document = json!({"schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "oauth2",
        "flow": "pkce", "host_url": "api.acme.example.com", "oauth": oauth});
    ProviderDefinition::from_value(document).unwrap()
}

struct Stage {
    http: Scripted,
    settings: OAuth,
    urls: AuthUrls,
    issuer: Option<&'static str>,
    names_itself: bool,
}

impl Stage {
    fn new(settings: Value) -> Self {
        let definition = definition(settings);
        let urls = definition.urls(&Default::default()).unwrap();
        Self {
            http: Scripted::default(),
            settings: definition.oauth().unwrap().clone(),
            urls,
            issuer: None,
            names_itself: false,
        }
    }

    fn server(&self) -> Server<'_> {
        Server {
            http: &self.http,
            settings: &self.settings,
            urls: &self.urls,
            issuer: self.issuer,
            names_itself: self.names_itself,
            clock: &SystemClock,
        }
    }

    /// What a refresh yields that is answered like this.
    fn refreshed(&self, reply: Reply) -> Result<Tokens, FlowError> {
        self.http.say(reply);
        refresh(self.server(), &basic(), &"rt-canary-1".into())
    }
}

fn client(authentication: ClientAuthentication, secret: Option<&str>) -> OAuthClient {
    OAuthClient { id: "id 1".into(), secret: secret.map(Secret::from), authentication }
}

fn basic() -> OAuthClient {
    client(ClientAuthentication::Basic, Some("s/canary:1"))
}

/// What a server answers, and what is to be read from it.
struct Row(&'static str, &'static str, (&'static str, Option<&'static str>, Option<i64>));

const JSON: &str = "application/json";

fn read_as(settings: &Value, rows: &[Row]) {
    for Row(media, body, (token, refresh_token, expires_in)) in rows {
        let stage = Stage::new(settings.clone());
        let tokens = stage.refreshed(answer(200, &[("content-type", media)], body)).expect(body);
        assert_eq!(tokens.access_token.expose(), token, "{body}");
        assert_eq!(
            tokens.refresh_token.as_ref().map(|token| token.expose().as_str()),
            *refresh_token,
            "{body}"
        );
        assert_eq!(tokens.expires_in, *expires_in, "{body}");
    }
}

#[test]
fn a_token_answer_is_read_in_every_form_that_servers_give_it() {
    let form = "application/x-www-form-urlencoded";
    read_as(
        &json!({}),
        &[
            Row(JSON, r#"{"access_token":"at","refresh_token":"rt"}"#, ("at", Some("rt"), None)),
            Row(JSON, r#"{"access_token":"at","refresh_token":null}"#, ("at", None, None)),
            Row("text/html", r#"{"access_token":"at"}"#, ("at", None, None)),
            Row(form, "access_token=a%2Bt&refresh_token=rt&expires_in=60", ("a+t", Some("rt"), Some(60))),
            Row("text/plain", "access_token=at&scope=a%2Cb", ("at", None, None)),
        ],
    );
    let created = Stage::new(json!({})).refreshed(scripted::json(201, r#"{"access_token":"at"}"#));
    assert!(created.is_ok());
}

#[test]
fn a_lifetime_is_read_in_every_form_and_kept_within_bounds() {
    read_as(
        &json!({}),
        &[
            Row(JSON, r#"{"access_token":"at","expires_in":3600}"#, ("at", None, Some(3600))),
            Row(JSON, r#"{"access_token":"at","expires_in":"3600"}"#, ("at", None, Some(3600))),
            Row(JSON, r#"{"access_token":"at","expires_in":0}"#, ("at", None, None)),
            Row(JSON, r#"{"access_token":"at","expires_in":-1}"#, ("at", None, None)),
            Row(JSON, r#"{"access_token":"at","expires_in":1}"#, ("at", None, Some(30))),
            Row(JSON, r#"{"access_token":"at","expires_in":1e99}"#, ("at", None, Some(31_536_000))),
            Row(JSON, r#"{"access_token":"at","expires_in":"soon"}"#, ("at", None, None)),
        ],
    );
}

#[test]
fn tokens_are_found_where_the_definition_points_else_at_the_top() {
    let nested =
        r#"{"ok":true,"access_token":"bot","authed_user":{"access_token":"user","refresh_token":"rt"}}"#;
    read_as(
        &json!({"token_pointer": "/authed_user"}),
        &[
            Row(JSON, nested, ("user", Some("rt"), None)),
            Row(JSON, r#"{"ok":true,"access_token":"user"}"#, ("user", None, None)),
        ],
    );
}

#[test]
fn an_error_is_told_by_its_code_whatever_its_form_and_status() {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let json = ("content-type", "application/json");
    for (status, media, body, code) in [
        (400, json, r#"{"error":"invalid_grant","error_description":"gone"}"#, "invalid_grant"),
        (200, json, r#"{"error":"bad_refresh_token"}"#, "bad_refresh_token"),
        (200, json, r#"{"ok":false,"error":"invalid_refresh_token"}"#, "invalid_refresh_token"),
        (200, json, r#"{"ok":false}"#, "error"),
        (200, form, "error=bad_verification_code&error_description=no", "bad_verification_code"),
        (401, json, r#"{"error":{"type":"invalid_client","message":"no"}}"#, "invalid_client"),
        (400, json, r#"{"error":"<b>in\u0000valid</b>"}"#, "binvalidb"),
    ] {
        let error = Stage::new(json!({})).refreshed(answer(status, &[media], body)).unwrap_err();
        assert_eq!(error.code(), Some(code), "{body}");
    }
}

fn refused(reply: Reply) -> FlowError {
    Stage::new(json!({})).refreshed(reply).unwrap_err()
}

#[test]
fn an_answer_that_is_none_is_a_named_error() {
    let html = ("content-type", "text/html");
    let page = "<html>access_token=at</html>";
    assert!(matches!(refused(answer(502, &[html], page)), FlowError::Status { status: 502, .. }));
    let failed = refused(scripted::json(500, r#"{"access_token":"at"}"#));
    assert!(matches!(failed, FlowError::Status { status: 500, .. }));
    for reply in [
        answer(200, &[html], page),
        scripted::json(200, r#"{"token":"at"}"#),
        scripted::json(200, r#"{"access_token":""}"#),
        scripted::json(200, r#"{"access_token":7}"#),
        answer(200, &[], "\u{fffd}\u{0}"),
    ] {
        assert!(matches!(refused(reply), FlowError::Malformed(_)));
    }
    for (status, headers, body) in
        [(302, [("location", "https://evil.example")], ""), (307, [html], r#"{"access_token":"at"}"#)]
    {
        assert!(matches!(refused(answer(status, &headers, body)), FlowError::Redirect(_)));
    }
}

#[test]
fn a_server_may_ask_to_be_left_alone_for_some_seconds() {
    let wait = refused(answer(503, &[("retry-after", "7")], "busy"));
    assert_eq!(wait.retry_after().map(|pause| pause.as_secs()), Some(7));
    let date = refused(answer(503, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], ""));
    assert_eq!(date.retry_after(), None);
}

#[test]
fn what_a_server_says_never_repeats_a_secret() {
    let stage = Stage::new(json!({}));
    let body = r#"{"error":"invalid_grant","error_description":"token rt-canary-1 of s/canary:1\n is gone"}"#;
    let error = stage.refreshed(scripted::json(400, body)).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary") && shown.contains("***"), "{shown}");
    assert!(!error.to_string().contains('\n'));
    let long = format!(r#"{{"error":"x","error_description":"{}"}}"#, "a".repeat(5000));
    assert!(stage.refreshed(scripted::json(400, &long)).unwrap_err().to_string().len() < 300);
}

#[test]
fn a_client_shows_who_it_is_in_each_way() {
    let stage = Stage::new(json!({}));
    let sent = |client: &OAuthClient| {
        stage.http.say(scripted::json(200, r#"{"access_token":"at"}"#));
        refresh(stage.server(), client, &"rt".into()).unwrap();
        stage.http.last()
    };
    let seen = sent(&basic());
    // RFC 6749 2.3.1: form-encoded, then joined, then base64.
    assert_eq!(seen.headers["authorization"], "Basic aWQlMjAxOnMlMkZjYW5hcnklM0Ex");
    assert_eq!((seen.form("client_id"), seen.form("client_secret")), (None, None));
    let seen = sent(&client(ClientAuthentication::Post, Some("secret")));
    assert_eq!(seen.form("client_secret").as_deref(), Some("secret"));
    assert_eq!(seen.form("client_id").as_deref(), Some("id 1"));
    assert!(!seen.headers.contains_key("authorization"));
    for (authentication, secret) in [
        (ClientAuthentication::None, Some("secret")),
        (ClientAuthentication::None, None),
        (ClientAuthentication::Basic, None),
        (ClientAuthentication::Post, None),
    ] {
        let seen = sent(&client(authentication, secret));
        assert_eq!((seen.form("client_id").as_deref(), seen.form("client_secret")), (Some("id 1"), None));
        assert!(!seen.headers.contains_key("authorization"));
    }
    let json = Stage::new(json!({"token_body": "json", "token_accept": "application/vnd.acme+json"}));
    json.refreshed(scripted::json(200, r#"{"access_token":"at"}"#)).unwrap();
    let seen = json.http.last();
    assert_eq!(seen.headers["accept"], "application/vnd.acme+json");
    assert_eq!(serde_json::from_str::<Value>(&seen.body).unwrap()["refresh_token"], "rt-canary-1");
}

#[test]
fn an_assertion_is_signed_for_this_server_and_for_a_minute() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let pem = key.serialize_pem();
    for text in [pem.clone(), pem.replace('\n', " "), pem.replace('\n', "\\n")] {
        let stage = Stage { issuer: Some("https://auth.example.com"), ..Stage::new(json!({})) };
        stage.http.say(scripted::json(200, r#"{"access_token":"at"}"#));
        let client = client(ClientAuthentication::PrivateKeyJwt, Some(&text));
        refresh(stage.server(), &client, &"rt".into()).unwrap();
        let seen = stage.http.last();
        let assertion = seen.form("client_assertion").unwrap();
        let public = jsonwebtoken::DecodingKey::from_ec_der(key.public_key_raw());
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.set_audience(&["https://auth.example.com"]);
        let claims = jsonwebtoken::decode::<Value>(&assertion, &public, &rules).unwrap().claims;
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("id 1"), &json!("id 1")));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
        assert!(claims["jti"].as_str().unwrap().len() >= 16);
        assert_eq!(seen.form("client_secret"), None);
    }
    for text in ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
        let stage = Stage::new(json!({}));
        let client = client(ClientAuthentication::PrivateKeyJwt, Some(text));
        let error = refresh(stage.server(), &client, &"rt".into()).unwrap_err();
        assert!(matches!(error, FlowError::Key(_)), "{text}: {error}");
    }
}

fn query(url: &str) -> std::collections::BTreeMap<String, String> {
    let (_, query) = url.split_once('?').unwrap();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn begun(stage: &Stage) -> AuthorizationRequest {
    authorize(stage.server(), "id 1", "http://127.0.0.1:7999/callback", &["a".into(), "b".into()]).unwrap()
}

#[test]
fn the_authorization_request_is_as_the_definition_wants_it() {
    let stage = Stage::new(
        json!({"scope_separator": ",", "scope_param": "user_scope", "resource": "https://api.acme.example.com",
        "authorize_params": {"access_type": "offline", "prompt": "consent"}}),
    );
    let url = begun(&stage).url;
    let query = query(&url);
    assert!(url.starts_with("https://auth.example.com/authorize?tenant=a&"));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "id 1"),
        ("redirect_uri", "http://127.0.0.1:7999/callback"),
        ("user_scope", "a,b"),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
        ("prompt", "consent"),
        ("resource", "https://api.acme.example.com"),
    ] {
        assert_eq!(query[name], value);
    }
    assert_eq!((query["state"].len(), query["code_challenge"].len()), (43, 43));
    let again = self::query(&begun(&stage).url);
    assert_ne!((&query["state"], &query["code_challenge"]), (&again["state"], &again["code_challenge"]));
    let plain = Stage::new(json!({"pkce": false}));
    assert!(!begun(&plain).url.contains("code_challenge"));
}

#[test]
fn the_verifier_that_is_sent_is_the_one_that_was_hashed() {
    use base64::Engine;
    use sha2::Digest;
    let stage = Stage::new(json!({}));
    let request = begun(&stage);
    let query = query(&request.url);
    stage.http.say(scripted::json(200, r#"{"access_token":"at"}"#));
    let answer = format!("http://127.0.0.1:7999/callback?code=c%2F1&state={}#x", query["state"]);
    exchange(stage.server(), &basic(), &request, Redirected::parse(&answer).unwrap()).unwrap();
    let seen = stage.http.last();
    let hash = sha2::Sha256::digest(seen.form("code_verifier").unwrap());
    assert_eq!(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash), query["code_challenge"]);
    assert_eq!(seen.form("code").as_deref(), Some("c/1"));
    assert_eq!(seen.form("redirect_uri").as_deref(), Some("http://127.0.0.1:7999/callback"));
}

/// What an answer of the browser yields, `STATE` being this login's own.
fn outcome(stage: &Stage, answer: &str) -> Result<(), FlowError> {
    let request = begun(stage);
    let answer = answer.replace("STATE", &query(&request.url)["state"]);
    exchange(stage.server(), &basic(), &request, Redirected::parse(&answer)?).map(drop)
}

#[test]
fn an_answer_of_another_login_is_refused_before_the_code_is_sent() {
    let stage = Stage::new(json!({}));
    for answer in ["code=c", "code=c&state=", "code=c&state=STATEx", "error=access_denied"] {
        assert!(matches!(outcome(&stage, answer), Err(FlowError::State)), "{answer}");
    }
    for answer in [
        "state=STATE",
        "code=a&code=b&state=STATE",
        "code=a&state=STATE&state=STATE",
        "code=a&state=STATE&iss=a&iss=b",
        "code=%ff&state=STATE",
    ] {
        assert!(matches!(outcome(&stage, answer), Err(FlowError::Answer(_))), "{answer}");
    }
    assert!(stage.http.seen().is_empty());
}

#[test]
fn an_answer_of_another_server_is_refused_before_the_code_is_sent() {
    let stage = Stage { issuer: Some("https://auth.example.com"), ..Stage::new(json!({})) };
    let other = outcome(&stage, "code=c&state=STATE&iss=https%3A%2F%2Fevil.example.com");
    assert!(matches!(other, Err(FlowError::Issuer)));
    assert!(stage.http.seen().is_empty());
    stage.http.say(scripted::json(200, r#"{"access_token":"at"}"#));
    assert!(outcome(&stage, "code=c&state=STATE&iss=https%3A%2F%2Fauth.example.com").is_ok());
}

#[test]
fn an_answer_without_an_issuer_is_refused_where_the_server_promises_one() {
    let stage =
        Stage { issuer: Some("https://auth.example.com"), names_itself: true, ..Stage::new(json!({})) };
    assert!(matches!(outcome(&stage, "code=c&state=STATE"), Err(FlowError::Issuer)));
    assert!(stage.http.seen().is_empty());
}

#[test]
fn a_no_is_told_from_other_errors() {
    let stage = Stage::new(json!({}));
    assert!(matches!(outcome(&stage, "error=access_denied&state=STATE"), Err(FlowError::Denied)));
    let other = outcome(&stage, "error=server_error&error_description=x&state=STATE").unwrap_err();
    assert_eq!(other.code(), Some("server_error"));
}

#[test]
fn where_the_issuer_is_not_known_it_must_be_on_a_host_of_the_endpoints() {
    let stage = Stage::new(json!({}));
    let request = begun(&stage);
    let state = &query(&request.url)["state"];
    for (issuer, good) in
        [("https://auth.example.com/realm", true), ("https://example.com", false), ("x", false)]
    {
        stage.http.say(scripted::json(200, r#"{"access_token":"at"}"#));
        let answer = Redirected::parse(&format!("code=c&state={state}&iss={issuer}")).unwrap();
        assert_eq!(exchange(stage.server(), &basic(), &request, answer).is_ok(), good, "{issuer}");
    }
}

const DEVICE: &str = r#"{"device_code":"dc-canary","user_code":"AB-CD","verification_uri":"https://auth.example.com/activate",
    "verification_uri_complete":"https://auth.example.com/activate?code=AB-CD","expires_in":600,"interval":2}"#;

/// A device code of the stage, and what asking about it yields.
fn device(stage: &Stage) -> DeviceAuthorization {
    stage.http.say(scripted::json(200, DEVICE));
    begin_device(stage.server(), &basic(), &["a".into()]).unwrap()
}

fn polled(reply: Reply) -> Result<Poll, FlowError> {
    let stage = Stage::new(json!({}));
    let device = device(&stage);
    stage.http.say(reply);
    let polled = poll_device(stage.server(), &basic(), &device);
    assert_eq!(stage.http.last().form("device_code").as_deref(), Some("dc-canary"));
    polled
}

fn device_error(code: &str) -> Reply {
    scripted::json(400, &format!(r#"{{"error":"{code}"}}"#))
}

#[test]
fn a_device_code_is_asked_for_with_the_client() {
    let stage = Stage::new(json!({}));
    let device = device(&stage);
    assert_eq!(stage.http.last().form("client_id").as_deref(), Some("id 1"));
    let times = (device.interval.as_secs(), device.expires_in.as_secs());
    assert_eq!((device.user_code.as_str(), times), ("AB-CD", (2, 600)));
    assert!(!format!("{device:?}").contains("canary"));
}

#[test]
fn a_device_login_waits_and_slows_down() {
    assert!(matches!(polled(device_error("authorization_pending")), Ok(Poll::Pending)));
    assert!(matches!(polled(scripted::json(200, r#"{"access_token":"at"}"#)), Ok(Poll::Done(_))));
    for reply in [device_error("slow_down"), scripted::broken(), answer(503, &[], "")] {
        assert!(matches!(polled(reply), Ok(Poll::SlowDown)));
    }
}

#[test]
fn a_device_login_ends_with_a_no_or_with_its_code() {
    assert!(matches!(polled(device_error("access_denied")), Err(FlowError::Denied)));
    assert!(matches!(polled(device_error("expired_token")), Err(FlowError::Expired)));
    assert!(matches!(polled(device_error("invalid_client")), Err(FlowError::Refused { .. })));
}

#[test]
fn a_device_answer_leads_to_an_https_page_or_nowhere() {
    let answered = |body: &str| {
        let stage = Stage::new(json!({}));
        stage.http.say(scripted::json(200, body));
        begin_device(stage.server(), &basic(), &[])
    };
    for page in [
        "http://auth.example.com/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://127.0.0.1/",
        "-x",
        "https://a.example.com/$(x)`",
    ] {
        let body = DEVICE.replace("https://auth.example.com/activate\"", &format!("{page}\""));
        assert!(answered(&body).is_err(), "{page}");
    }
    let bad_link = DEVICE.replace("https://auth.example.com/activate?", "http://auth.example.com/activate?");
    assert_eq!(answered(&bad_link).unwrap().verification_uri_complete, None);
    let old = DEVICE
        .replace("\"verification_uri\"", "\"verification_url\"")
        .replace("600", "\"99999\"")
        .replace(",\"interval\":2", "");
    let device = answered(&old).unwrap();
    assert_eq!((device.expires_in.as_secs(), device.interval.as_secs()), (1800, 5));
    assert!(answered(&DEVICE.replace("AB-CD\",\"v", "\u{1b}[31m\",\"v")).is_err());
}

#[test]
fn a_client_registers_itself_as_a_public_one() {
    let stage = Stage::new(json!({}));
    stage.http.say(scripted::json(
        201,
        r#"{"client_id":"new","client_secret":"s","token_endpoint_auth_method":"client_secret_post"}"#,
    ));
    let client = register(stage.server(), "http://127.0.0.1:7999/callback", &["a".into()]).unwrap();
    assert_eq!((client.id.as_str(), client.authentication), ("new", ClientAuthentication::Post));
    let sent: Value = serde_json::from_str(&stage.http.last().body).unwrap();
    assert_eq!(sent["redirect_uris"], json!(["http://127.0.0.1:7999/callback"]));
    assert_eq!(sent["token_endpoint_auth_method"], "none");
    stage.http.say(scripted::json(400, r#"{"error":"invalid_redirect_uri"}"#));
    let error = register(stage.server(), "http://127.0.0.1:7999/callback", &[]).unwrap_err();
    assert_eq!(error.code(), Some("invalid_redirect_uri"));
    stage.http.say(scripted::json(201, "{}"));
    assert!(matches!(register(stage.server(), "x", &[]), Err(FlowError::Malformed(_))));
}

#[test]
fn a_token_is_given_back_as_the_server_wants_it() {
    let stage = Stage::new(json!({}));
    let given_back = |stage: &Stage, reply| {
        stage.http.say(reply);
        revoke(stage.server(), &basic(), &"at-1".into(), "access_token")
    };
    given_back(&stage, answer(200, &[], "")).unwrap();
    let seen = stage.http.last();
    assert_eq!((seen.method.as_str(), seen.url.as_str()), ("POST", "https://auth.example.com/revoke"));
    assert_eq!(
        (seen.form("token").as_deref(), seen.form("token_type_hint").as_deref()),
        (Some("at-1"), Some("access_token"))
    );
    for good in [
        answer(204, &[], ""),
        answer(404, &[], "no"),
        answer(200, &[], "ok"),
        scripted::json(200, "{}"),
        scripted::json(400, r#"{"error":"invalid_token"}"#),
    ] {
        given_back(&stage, good).unwrap();
    }
    for bad in [
        answer(503, &[], ""),
        scripted::json(400, r#"{"error":"unsupported_token_type"}"#),
        answer(302, &[], ""),
        scripted::broken(),
    ] {
        given_back(&stage, bad).unwrap_err();
    }
    let other = Stage::new(
        json!({"revocation": {"method": "DELETE", "client_authentication": "basic", "token_param": "access_token", "body": "json"}}),
    );
    given_back(&other, answer(204, &[], "")).unwrap();
    let seen = other.http.last();
    assert_eq!((seen.method.as_str(), seen.body.as_str()), ("DELETE", r#"{"access_token":"at-1"}"#));
    assert!(seen.headers["authorization"].starts_with("Basic "));
}

#[test]
fn grants_without_a_person_send_what_their_rfcs_say() {
    let stage = Stage::new(json!({}));
    stage.http.say(scripted::json(200, r#"{"access_token":"at","scope":"a"}"#));
    let tokens = client_credentials(stage.server(), &basic(), &["a".into(), "b".into()]).unwrap();
    assert_eq!(tokens.scopes, Some(vec!["a".to_owned()]));
    let seen = stage.http.last();
    assert_eq!(
        (seen.form("grant_type").as_deref(), seen.form("scope").as_deref()),
        (Some("client_credentials"), Some("a b"))
    );
    stage.http.say(scripted::json(200, r#"{"access_token":"at"}"#));
    token_exchange(stage.server(), &basic(), &"subject".into(), &[]).unwrap();
    let seen = stage.http.last();
    assert_eq!(seen.form("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:token-exchange"));
    assert_eq!(seen.form("subject_token").as_deref(), Some("subject"));
    assert_eq!(
        seen.form("subject_token_type").as_deref(),
        Some("urn:ietf:params:oauth:token-type:access_token")
    );
}

#[test]
fn what_a_server_knows_of_a_token_is_asked_by_rfc_7662() {
    let stage = Stage::new(json!({}));
    stage.http.say(scripted::json(200, r#"{"active":true,"sub":"u-1"}"#));
    assert_eq!(introspect(stage.server(), &basic(), &"at".into()).unwrap()["sub"], "u-1");
    stage.http.say(scripted::json(200, "{}"));
    assert!(introspect(stage.server(), &basic(), &"at".into()).is_err());
}

/// A resource with its server, told by URL.
fn web(pages: &'static [(&'static str, u16, &'static str)]) -> Scripted {
    let http = Scripted::default();
    http.rule(move |seen| match pages.iter().find(|(url, ..)| *url == seen.url) {
        Some((_, 401, challenge)) => answer(401, &[("www-authenticate", challenge)], ""),
        Some((_, status, body)) => scripted::json(*status, body),
        None => answer(404, &[], "nothing here"),
    });
    http
}

const METADATA: &str = r#"{"issuer":"https://auth.example.com","authorization_endpoint":"https://auth.example.com/a",
    "token_endpoint":"https://auth.example.com/t","registration_endpoint":"https://auth.example.com/r","code_challenge_methods_supported":["S256"],
    "authorization_response_iss_parameter_supported":true}"#;

#[test]
fn the_server_of_a_resource_is_found_by_its_metadata_or_its_refusal() {
    let about = r#"{"resource":"https://mcp.example.com/mcp","authorization_servers":["https://auth.example.com"],"scopes_supported":["read"]}"#;
    let known = web(Box::leak(Box::new([
        ("https://mcp.example.com/.well-known/oauth-protected-resource/mcp", 200, about),
        ("https://auth.example.com/.well-known/oauth-authorization-server", 200, METADATA),
    ])));
    let found = discover(&known, "https://mcp.example.com/mcp").unwrap();
    assert_eq!(found.urls.token.as_deref(), Some("https://auth.example.com/t"));
    assert_eq!(
        (found.issuer.as_str(), found.resource.as_deref()),
        ("https://auth.example.com", Some("https://mcp.example.com/mcp"))
    );
    assert_eq!((found.scopes, found.names_itself), (vec!["read".to_owned()], true));
    let pointed = web(Box::leak(Box::new([
        (
            "https://mcp.example.com/mcp",
            401,
            r#"Bearer error="x", resource_metadata="https://mcp.example.com/meta", a="b""#,
        ),
        ("https://mcp.example.com/meta", 200, about),
        ("https://auth.example.com/.well-known/openid-configuration", 200, METADATA),
    ])));
    assert!(discover(&pointed, "https://mcp.example.com/mcp").is_ok());
    let alone = web(Box::leak(Box::new([(
        "https://auth.example.com/.well-known/oauth-authorization-server",
        200,
        METADATA,
    )])));
    assert!(discover(&alone, "https://auth.example.com/mcp").is_ok());
}

#[test]
fn metadata_that_does_not_hold_together_is_refused() {
    let with = |metadata: String| {
        let metadata: &'static str = metadata.leak();
        let http = web(Box::leak(Box::new([(
            "https://auth.example.com/.well-known/oauth-authorization-server",
            200,
            metadata,
        )])));
        discover(&http, "https://auth.example.com/mcp")
    };
    assert!(with(METADATA.to_owned()).is_ok());
    for (what, by) in [
        ("\"issuer\":\"https://auth.example.com\"", "\"issuer\":\"https://evil.example.com\""),
        ("https://auth.example.com/t", "http://auth.example.com/t"),
        ("https://auth.example.com/t", "https://127.0.0.1/t"),
        ("https://auth.example.com/a", "javascript:alert(1)"),
        ("[\"S256\"]", "[\"plain\"]"),
        ("\"token_endpoint\"", "\"other_endpoint\""),
    ] {
        assert!(with(METADATA.replace(what, by)).is_err(), "{by}");
    }
    let other = r#"{"resource":"https://other.example.com/mcp","authorization_servers":["https://auth.example.com"]}"#;
    let http = web(Box::leak(Box::new([(
        "https://auth.example.com/.well-known/oauth-protected-resource/mcp",
        200,
        other,
    )])));
    assert!(matches!(discover(&http, "https://auth.example.com/mcp"), Err(FlowError::Mismatch(_))));
    assert!(discover(&web(&[]), "https://auth.example.com/mcp").is_err());
}
