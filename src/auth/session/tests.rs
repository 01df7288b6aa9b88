use std::collections::BTreeMap;
use std::sync::Arc;

use authsome_providers::{FlowType, Registry};
use serde_json::{Value, json};

use super::super::record::ClientSource;
use super::super::scripted::{self, Scripted, answer};
use super::super::{AuthService, Challenge, ClientCredentials, Error, Login, Progress};
use super::*;

/// `acme` with an `oauth` block of these settings, in a home of its own.
pub(in super::super) struct Stage {
    pub(in super::super) home: tempfile::TempDir,
    pub(in super::super) http: Arc<Scripted>,
    pub(in super::super) auth: AuthService,
}

pub(in super::super) fn acme(settings: Value) -> Value {
    let mut document = json!({"schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "oauth2",
        "flow": "pkce", "host_url": "api.acme.example.com", "oauth": {
            "authorization_url": "https://auth.acme.example.com/authorize", "token_url": "https://auth.acme.example.com/token",
            "revocation_url": "https://auth.acme.example.com/revoke",
            "device_authorization_url": "https://auth.acme.example.com/device",
            "scopes": ["read", "write"], "supports_device_flow": true}});
    merge(&mut document, settings);
    document
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

impl Stage {
    pub(in super::super) fn new(settings: Value) -> Self {
        let home = tempfile::tempdir().unwrap();
        let http = Arc::new(Scripted::default());
        let auth = Self::service(&home, &http, acme(settings), Arc::new(crate::clock::SystemClock));
        Self { home, http, auth }
    }

    pub(in super::super) fn service(
        home: &tempfile::TempDir,
        http: &Arc<Scripted>,
        definition: Value,
        clock: Arc<dyn crate::clock::Clock>,
    ) -> AuthService {
        let (registry, broken) = Registry::with_custom([("acme.json".to_owned(), definition.to_string())]);
        assert!(broken.is_empty(), "{broken:?}");
        let builder = AuthService::builder().home(home.path().join("home")).registry(registry);
        builder.network(http.clone()).clock(clock).build().unwrap()
    }

    fn begin(&self, change: impl FnOnce(&mut Login<'static>)) -> Result<LoginSession, Error> {
        let mut login = Login { provider: "acme", client: Some(client()), ..Login::default() };
        change(&mut login);
        self.auth.begin_login(&login)
    }

    /// The answer of a browser whose person agreed.
    fn agreed(&self, session: &LoginSession) -> String {
        let Challenge::Browser { url, redirect_uri } = session.challenge() else {
            panic!("no browser is asked")
        };
        let (_, query) = url.split_once('?').unwrap();
        let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        format!("{redirect_uri}?code=c&state={}", query["state"])
    }

    fn logged_in(&self, tokens: &str) -> Result<LoggedIn, Error> {
        let mut session = self.begin(|_| {})?;
        self.http.say(scripted::json(200, tokens));
        let answer = self.agreed(&session);
        match self.auth.resume_login(&mut session, Some(&answer))? {
            Progress::Connected(made) => Ok(*made),
            Progress::Pending(_) => panic!("a browser's answer is the last step"),
        }
    }
}

pub(in super::super) fn client() -> ClientCredentials {
    ClientCredentials {
        id: "id-1".into(),
        secret: Some("cs-canary".into()),
        source: ClientSource::UserSupplied,
    }
}

const TOKENS: &str = r#"{"access_token":"at-canary","refresh_token":"rt-canary","expires_in":3600,"scope":"read","token_type":"bearer"}"#;

#[test]
fn a_login_by_pkce_stores_what_was_granted_and_the_client_with_it() {
    let stage = Stage::new(json!({}));
    let made = stage.logged_in(TOKENS).unwrap();
    let record = stage.auth.connection("acme", None).unwrap().record;
    assert_eq!(record.access_token.as_ref().unwrap().expose(), "at-canary");
    assert_eq!(record.refresh_token.as_ref().unwrap().expose(), "rt-canary");
    assert_eq!(record.scopes, Some(vec!["read".to_owned()]));
    assert_eq!(record.expires_at.unwrap() - record.obtained_at.unwrap(), 3600);
    assert_eq!(record.binding.token_url.as_deref(), Some("https://auth.acme.example.com/token"));
    assert_eq!(made.warnings, ["these scopes were not granted: write"]);
    let client = stage.auth.client("acme").unwrap().unwrap();
    assert_eq!((client.client_id.as_str(), client.source), ("id-1", ClientSource::UserSupplied));
    assert_eq!(client.token_url.as_deref(), Some("https://auth.acme.example.com/token"));
}

#[test]
fn a_login_that_fails_leaves_the_earlier_connection_and_client_as_they_were() {
    let stage = Stage::new(json!({}));
    stage.logged_in(TOKENS).unwrap();
    assert!(matches!(stage.begin(|_| {}), Err(Error::AlreadyConnected { .. })));
    let other = ClientCredentials { id: "id-2".into(), ..client() };
    let begin = || stage.begin(|login| (login.force, login.client) = (true, Some(other.clone()))).unwrap();
    let html = || answer(200, &[("content-type", "text/html")], "<html>");
    let refused: [(&str, &str, Option<scripted::Reply>); 6] = [
        ("code=c", "error=access_denied", None),
        ("state=", "state=x", None),
        ("code=c", "nonsense", None),
        ("", "", Some(scripted::json(401, r#"{"error":"invalid_client"}"#))),
        ("", "", Some(html())),
        ("", "", Some(scripted::json(200, r#"{"access_token":"at\r\nx: y"}"#))),
    ];
    for (what, by, reply) in refused {
        let mut session = begin();
        if let Some(reply) = reply {
            stage.http.say(reply);
        }
        let answer = stage.agreed(&session).replace(what, by);
        let error = stage.auth.resume_login(&mut session, Some(&answer)).unwrap_err();
        assert_eq!((error.name(), error.exit_code()), ("AuthenticationFailedError", 4), "{error}");
        assert!(!error.to_string().contains("canary"));
        assert_eq!(stage.auth.access_token("acme", None).unwrap().expose(), "at-canary");
        assert_eq!(stage.auth.client("acme").unwrap().unwrap().client_id, "id-1");
    }
}

#[test]
fn without_a_client_the_redirect_uri_to_register_is_told() {
    let stage = Stage::new(json!({"oauth": {"redirect": "loopback"}}));
    let error = stage.begin(|login| login.client = None).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("http://127.0.0.1:7999/callback"), "{error}");
    assert!(stage.http.seen().is_empty());
}

#[test]
fn the_stored_client_is_used_until_it_is_reset() {
    let stage = Stage::new(json!({}));
    stage.auth.set_client("acme", &client()).unwrap();
    let url = |session: &LoginSession| match session.challenge() {
        Challenge::Browser { url, .. } => url.to_owned(),
        _ => panic!("no browser is asked"),
    };
    assert!(url(&stage.begin(|login| login.client = None).unwrap()).contains("client_id=id-1"));
    assert!(stage.begin(|login| (login.client, login.reset) = (None, true)).is_err());
    assert!(stage.auth.remove_client("acme").unwrap());
    assert!(!stage.auth.remove_client("acme").unwrap());
}

#[test]
fn a_device_login_is_asked_until_the_person_agrees() {
    let stage = Stage::new(json!({}));
    stage.http.say(scripted::json(200, r#"{"device_code":"dc","user_code":"AB-CD","verification_uri":"https://auth.acme.example.com/d","interval":1}"#));
    let mut session = stage.begin(|login| login.flow = Some(FlowType::DeviceCode)).unwrap();
    assert!(matches!(session.challenge(), Challenge::Device { user_code: "AB-CD", .. }));
    stage.http.say(scripted::json(400, r#"{"error":"authorization_pending"}"#));
    let pending = stage.auth.resume_login(&mut session, None).unwrap();
    assert!(matches!(pending, Progress::Pending(pause) if pause.as_secs() == 1));
    stage.http.say(scripted::json(400, r#"{"error":"slow_down"}"#));
    let slower = stage.auth.resume_login(&mut session, None).unwrap();
    assert!(matches!(slower, Progress::Pending(pause) if pause.as_secs() == 6));
    stage.http.say(scripted::json(200, TOKENS));
    assert!(matches!(stage.auth.resume_login(&mut session, None), Ok(Progress::Connected(_))));
    assert_eq!(stage.auth.connection("acme", None).unwrap().record.metadata["flow"], "device_code");
}

#[test]
fn whose_account_it_is_is_asked_and_a_refusal_is_a_warning() {
    let account = json!({"oauth": {"account": {"url": "https://api.acme.example.com/me", "id": "/id", "label": "/name"}}});
    let stage = Stage::new(account);
    let whose = |reply| {
        let mut session = stage.begin(|login| login.force = true).unwrap();
        stage.http.say(scripted::json(200, r#"{"access_token":"at-canary","scope":"read write"}"#));
        stage.http.say(reply);
        let answer = stage.agreed(&session);
        match stage.auth.resume_login(&mut session, Some(&answer)).unwrap() {
            Progress::Connected(made) => *made,
            Progress::Pending(_) => panic!("a browser's answer is the last step"),
        }
    };
    let made = whose(scripted::json(200, r#"{"id":42,"name":"Ann\u0007"}"#));
    let account = made.connection.record.account;
    assert_eq!((account.id.as_deref(), account.label.as_deref()), (Some("42"), Some("Ann")));
    assert_eq!(stage.http.last().headers["authorization"], "Bearer at-canary");
    let made = whose(scripted::json(403, "{}"));
    assert_eq!((made.warnings.len(), made.connection.record.account.id), (1, None));
    assert!(made.warnings[0].contains("403"), "{:?}", made.warnings);
}

#[test]
fn an_mcp_server_is_found_registered_with_once_and_bound() {
    let definition = json!({"schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "oauth2", "flow": "dcr_pkce",
        "host_url": "mcp.acme.example.com", "oauth": {"resource": "https://mcp.acme.example.com/mcp", "supports_dcr": true}});
    let home = tempfile::tempdir().unwrap();
    let http = Arc::new(Scripted::default());
    let mut registered = 0;
    http.rule(move |seen| match seen.url.as_str() {
        "https://mcp.acme.example.com/.well-known/oauth-protected-resource/mcp" => scripted::json(200,
            r#"{"resource":"https://mcp.acme.example.com/mcp","authorization_servers":["https://auth.acme.example.com"]}"#),
        "https://auth.acme.example.com/.well-known/oauth-authorization-server" => scripted::json(200,
            r#"{"issuer":"https://auth.acme.example.com","authorization_endpoint":"https://auth.acme.example.com/a","token_endpoint":"https://auth.acme.example.com/t",
                "registration_endpoint":"https://auth.acme.example.com/r","revocation_endpoint":"https://auth.acme.example.com/v"}"#),
        "https://auth.acme.example.com/r" => {
            registered += 1;
            scripted::json(201, &format!(r#"{{"client_id":"new-{registered}"}}"#))
        }
        "https://auth.acme.example.com/t" => scripted::json(200, TOKENS),
        "https://auth.acme.example.com/v" => answer(200, &[], ""),
        _ => answer(404, &[], ""),
    });
    let auth = Stage::service(&home, &http, definition, Arc::new(crate::clock::SystemClock));
    let stage = Stage { home, http, auth };
    let mut session = stage.begin(|login| login.client = None).unwrap();
    let client = stage.auth.client("acme").unwrap().unwrap();
    assert_eq!((client.client_id.as_str(), client.source), ("new-1", ClientSource::DcrGenerated));
    drop(stage.begin(|login| login.client = None).unwrap());
    let registrations = || stage.http.seen().iter().filter(|seen| seen.url.ends_with("/r")).count();
    assert_eq!(registrations(), 1, "the second login takes the stored client");
    let answer = stage.agreed(&session);
    stage.auth.resume_login(&mut session, Some(&answer)).unwrap();
    let binding = stage.auth.connection("acme", None).unwrap().record.binding;
    assert_eq!(binding.token_url.as_deref(), Some("https://auth.acme.example.com/t"));
    assert_eq!(binding.issuer.as_deref(), Some("https://auth.acme.example.com"));
    drop(stage.begin(|login| (login.client, login.reset, login.force) = (None, true, true)).unwrap());
    assert_eq!(registrations(), 2, "--reset registers anew");
    let revoked = stage.auth.revoke("acme", None).unwrap();
    assert_eq!(revoked.at_provider, [] as [&str; 0], "it was made with another client: {revoked:?}");
}

#[test]
fn of_two_clients_that_register_at_once_the_first_is_kept() {
    let stage = Stage::new(json!({"flow": "dcr_pkce", "oauth": {"supports_dcr": true,
        "registration_endpoint": "https://auth.acme.example.com/register"}}));
    let other = AuthService::builder()
        .home(stage.home.path().join("home"))
        .registry(stage.auth.definitions().registry.clone());
    let other = other.build().unwrap();
    stage.http.rule(move |_| {
        other.set_client("acme", &ClientCredentials { id: "first".into(), ..client() }).unwrap();
        scripted::json(201, r#"{"client_id":"second"}"#)
    });
    let session = stage.begin(|login| login.client = None).unwrap();
    let Challenge::Browser { url, .. } = session.challenge() else { panic!("no browser is asked") };
    assert!(url.contains("client_id=first"), "{url}");
    assert_eq!(stage.auth.client("acme").unwrap().unwrap().client_id, "first");
}

#[test]
fn tokens_are_given_back_at_the_bound_url_alone_and_ended_here_whatever_it_says() {
    let stage = Stage::new(json!({}));
    stage.logged_in(TOKENS).unwrap();
    stage.http.say(answer(200, &[], ""));
    stage.http.say(answer(200, &[], ""));
    let revoked = stage.auth.revoke("acme", None).unwrap();
    assert_eq!(revoked.at_provider, ["default"]);
    let sent: Vec<_> = stage.http.seen().into_iter().filter(|seen| seen.url.ends_with("/revoke")).collect();
    let tokens: Vec<_> = sent.iter().map(|seen| seen.form("token").unwrap()).collect();
    assert_eq!(tokens, ["rt-canary", "at-canary"]);
    assert!(stage.auth.client("acme").unwrap().is_none());
    stage.logged_in(TOKENS).unwrap();
    stage.http.say(answer(503, &[], ""));
    let revoked = stage.auth.revoke("acme", Some("default")).unwrap();
    assert_eq!(revoked.only_here.len(), 1);
    assert!(revoked.only_here[0].1.contains("503"), "{revoked:?}");
    assert!(matches!(stage.auth.connection("acme", None), Err(Error::CredentialMissing { .. })));
    assert!(stage.auth.client("acme").unwrap().is_some(), "with --connection the client stays");
}

#[test]
fn a_server_with_a_way_of_its_own_to_revoke_gets_the_access_token_and_the_clients_id() {
    let stage = Stage::new(
        json!({"oauth": {"revocation_url": "https://auth.acme.example.com/applications/{client_id}/token",
        "revocation": {"method": "DELETE", "client_authentication": "basic", "token_param": "access_token", "body": "json"}}}),
    );
    stage.logged_in(TOKENS).unwrap();
    stage.http.say(answer(204, &[], ""));
    assert_eq!(stage.auth.revoke("acme", None).unwrap().at_provider, ["default"]);
    let sent = stage.http.last();
    assert_eq!(sent.url, "https://auth.acme.example.com/applications/id-1/token");
    assert_eq!((sent.method.as_str(), sent.body.as_str()), ("DELETE", r#"{"access_token":"at-canary"}"#));
}

#[test]
fn an_edited_definition_gets_neither_token_nor_client_secret() {
    let stage = Stage::new(json!({}));
    stage
        .logged_in(
            r#"{"access_token":"at-canary","refresh_token":"rt-canary","expires_in":1,"scope":"read write"}"#,
        )
        .unwrap();
    let edited = acme(
        json!({"oauth": {"token_url": "https://evil.example.com/token", "revocation_url": "https://evil.example.com/revoke"}}),
    );
    let auth = Stage::service(&stage.home, &stage.http, edited, Arc::new(Later(7200)));
    let before = stage.http.seen().len();
    let error = auth.access_token("acme", None).unwrap_err();
    assert_eq!((error.name(), error.exit_code()), ("RefreshFailedError", 6));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("--rebind") && cause.contains("evil.example.com"), "{cause}");
    let revoked = auth.revoke("acme", Some("default")).unwrap();
    assert_eq!((revoked.at_provider.len(), revoked.only_here.len()), (0, 1));
    assert_eq!(stage.http.seen().len(), before, "nothing was sent");
}

/// A clock that is ahead by so many seconds.
#[derive(Debug)]
pub(in super::super) struct Later(pub(in super::super) u64);

impl crate::clock::Clock for Later {
    fn since_epoch(&self) -> Duration {
        crate::clock::SystemClock.since_epoch() + Duration::from_secs(self.0)
    }
}
