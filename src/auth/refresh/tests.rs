use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::record::{ConnectionStatus, ProviderState, decode};
use super::super::scripted::{self, Scripted, answer};
use super::super::session::tests::{acme, client};
use super::super::{AuthService, Error, Login, Progress, Renewal};
use crate::clock::Clock;

/// A clock that a test sets, in Unix seconds.
#[derive(Debug)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn since_epoch(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

struct Stage {
    home: tempfile::TempDir,
    http: Arc<Scripted>,
    clock: Arc<Hands>,
    auth: AuthService,
}

const START: i64 = 1_800_000_000;

impl Stage {
    /// `acme` is connected for an hour, with the refresh token `rt-0`.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (http, clock) = (Arc::new(Scripted::default()), Arc::new(Hands(AtomicI64::new(START))));
        let auth = service(&home, &http, &clock);
        let stage = Self { home, http, clock, auth };
        stage.log_in(r#"{"access_token":"at-0","refresh_token":"rt-0","expires_in":3600}"#);
        stage
    }

    fn log_in(&self, tokens: &str) {
        let login = Login {
            provider: "acme",
            client: Some(client()),
            force: true,
            flow: Some(authsome_providers::FlowType::DeviceCode),
            ..Login::default()
        };
        self.http.say(scripted::json(
            200,
            r#"{"device_code":"dc","user_code":"X","verification_uri":"https://auth.acme.example.com/d"}"#,
        ));
        let mut session = self.auth.begin_login(&login).unwrap();
        self.http.say(scripted::json(200, tokens));
        assert!(matches!(self.auth.resume_login(&mut session, None), Ok(Progress::Connected(_))));
    }

    fn at(&self, seconds: i64) {
        self.clock.0.store(START + seconds, Ordering::Relaxed);
    }

    fn other_process(&self) -> AuthService {
        service(&self.home, &self.http, &self.clock)
    }

    fn token(&self) -> Result<String, Error> {
        self.auth.access_token("acme", None).map(|token| token.expose().clone())
    }

    fn refreshes(&self) -> usize {
        self.http
            .seen()
            .iter()
            .filter(|seen| seen.form("grant_type").as_deref() == Some("refresh_token"))
            .count()
    }

    fn state(&self) -> ProviderState {
        let key = self.auth.keys().state("acme");
        let item = self.auth.vault().unwrap().get(&key).unwrap().unwrap();
        decode(&key, item.value.expose()).unwrap()
    }

    fn stored(&self) -> (ConnectionStatus, String) {
        let record = self.auth.connection("acme", None).unwrap().record;
        (record.status, record.refresh_token.unwrap().expose().clone())
    }
}

fn service(home: &tempfile::TempDir, http: &Arc<Scripted>, clock: &Arc<Hands>) -> AuthService {
    super::super::session::tests::Stage::service(
        home,
        http,
        acme(
            json!({"oauth": {"refresh_token_errors": ["bad_refresh_token", "invalid_refresh_token"], "supports_client_credentials": true}}),
        ),
        clock.clone(),
    )
}

const NEXT: &str = r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":3600}"#;

#[test]
fn a_token_is_renewed_within_its_window_and_not_before() {
    let stage = Stage::new();
    stage.at(3600 - 301);
    assert_eq!((stage.token().unwrap(), stage.refreshes()), ("at-0".into(), 0));
    stage.at(3600 - 299);
    stage.http.say(scripted::json(200, NEXT));
    assert_eq!((stage.token().unwrap(), stage.refreshes()), ("at-1".into(), 1));
    assert_eq!(stage.http.last().form("refresh_token").as_deref(), Some("rt-0"));
    assert_eq!(stage.stored().1, "rt-1");
    assert_eq!(stage.token().unwrap(), "at-1");
    assert_eq!(stage.state().last_refresh_at, Some(START + 3301));
    assert!(stage.state().connections.is_empty());
}

#[test]
fn a_short_token_is_renewed_in_the_last_tenth_of_its_life() {
    let stage = Stage::new();
    stage.log_in(r#"{"access_token":"at-0","refresh_token":"rt-0","expires_in":100}"#);
    stage.at(89);
    assert_eq!((stage.token().unwrap(), stage.refreshes()), ("at-0".into(), 0));
    stage.at(91);
    stage.http.say(scripted::json(200, NEXT));
    assert_eq!(stage.token().unwrap(), "at-1");
}

#[test]
fn a_refresh_token_that_is_not_repeated_stays_and_one_that_never_came_is_not_asked_for() {
    let stage = Stage::new();
    stage.at(3500);
    stage.http.say(scripted::json(200, r#"{"access_token":"at-1","expires_in":3600}"#));
    assert_eq!((stage.token().unwrap(), stage.stored().1), ("at-1".into(), "rt-0".into()));
    stage.log_in(r#"{"access_token":"at-9","expires_in":60}"#);
    stage.at(10_000);
    let error = stage.token().unwrap_err();
    assert_eq!((error.name(), error.exit_code(), stage.refreshes()), ("TokenExpiredError", 6, 1));
}

#[test]
fn many_threads_and_services_refresh_once() {
    let stage = Stage::new();
    stage.at(4000);
    stage.http.rule(|_| scripted::json(200, NEXT));
    let services: Vec<AuthService> = (0..16).map(|_| stage.other_process()).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = services
            .iter()
            .map(|auth| scope.spawn(|| auth.access_token("acme", None).unwrap().expose().clone()))
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == "at-1"));
    });
    assert_eq!(stage.refreshes(), 1);
}

#[test]
fn a_token_that_is_still_good_is_used_while_the_endpoint_is_down_and_it_is_not_hammered() {
    let stage = Stage::new();
    stage.at(3400);
    stage.http.rule(|_| answer(503, &[], ""));
    for _ in 0..20 {
        assert_eq!(stage.token().unwrap(), "at-0");
    }
    assert_eq!(stage.refreshes(), 1);
    stage.at(3601);
    stage.at(3700);
    let error = stage.token().unwrap_err();
    assert_eq!((error.name(), error.exit_code(), stage.refreshes()), ("RefreshFailedError", 6, 2));
    for _ in 0..20 {
        assert_eq!(stage.token().unwrap_err().name(), "RefreshFailedError");
    }
    assert_eq!((stage.refreshes(), stage.stored().0), (2, ConnectionStatus::Connected));
    assert_eq!(
        stage.auth.connection("acme", None).unwrap().record.status_at(START + 3700),
        ConnectionStatus::Expired
    );
    stage.at(5000);
    stage.http.rule(|_| scripted::json(200, NEXT));
    assert_eq!(stage.token().unwrap(), "at-1");
}

#[test]
fn a_clock_that_jumps_makes_one_refresh_and_no_storm() {
    for jump in [3600 * 5, -3600 * 5, 3600 * 24 * 365 * 3] {
        let stage = Stage::new();
        let next = Arc::new(AtomicUsize::new(0));
        stage.http.rule(move |_| {
            let number = next.fetch_add(1, Ordering::Relaxed) + 1;
            scripted::json(
                200,
                &format!(
                    r#"{{"access_token":"at-{number}","refresh_token":"rt-{number}","expires_in":3600}}"#
                ),
            )
        });
        stage.at(jump);
        for _ in 0..10 {
            stage.token().unwrap();
        }
        assert!(stage.refreshes() <= 1, "{jump}");
        stage.at(0);
        for _ in 0..10 {
            stage.token().unwrap();
        }
        assert!(stage.refreshes() <= 2, "{jump}");
    }
}

#[test]
fn a_refusal_for_good_makes_the_connection_invalid_and_names_the_repair() {
    for reply in [
        r#"{"error":"invalid_grant"}"#,
        r#"{"ok":false,"error":"invalid_refresh_token"}"#,
        r#"{"error":"bad_refresh_token"}"#,
    ] {
        let stage = Stage::new();
        stage.at(3400);
        stage.http.say(scripted::json(400, reply));
        let error = stage.token().unwrap_err();
        assert_eq!((error.name(), error.exit_code()), ("RefreshFailedError", 6));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("authsome login acme --connection default --force"), "{cause}");
        assert_eq!(stage.stored(), (ConnectionStatus::Invalid, "rt-0".into()));
        let again = stage.token().unwrap_err();
        assert_eq!((again.exit_code(), stage.refreshes()), (6, 1), "one attempt");
        stage.log_in(NEXT);
        assert_eq!(stage.token().unwrap(), "at-1");
    }
}

#[test]
fn other_refusals_are_no_end() {
    let stage = Stage::new();
    stage.at(3700);
    stage.http.say(scripted::json(401, r#"{"error":"invalid_client"}"#));
    assert_eq!(stage.token().unwrap_err().name(), "RefreshFailedError");
    assert_eq!(stage.stored().0, ConnectionStatus::Connected);
}

#[test]
fn a_stale_refusal_does_not_spoil_a_login_that_was_made_meanwhile() {
    let stage = Stage::new();
    stage.at(3700);
    let other = stage.other_process();
    stage.http.rule(move |_| {
        let mut found = other.connection("acme", None).unwrap();
        found.record.refresh_token = Some("rt-new".into());
        found.record.access_token = Some("at-new".into());
        found.record.expires_at = Some(START + 9000);
        let key = other.keys().connection("acme", "default");
        other.vault().unwrap().put(&key, super::encode(&found.record)).unwrap();
        scripted::json(400, r#"{"error":"invalid_grant"}"#)
    });
    assert_eq!(stage.token().unwrap(), "at-new");
    assert_eq!(stage.stored(), (ConnectionStatus::Connected, "rt-new".into()));
}

#[test]
fn a_logout_during_a_refresh_is_not_undone() {
    let stage = Stage::new();
    stage.at(3700);
    let other = stage.other_process();
    stage.http.rule(move |_| {
        other.logout("acme", None).unwrap();
        scripted::json(200, NEXT)
    });
    assert!(matches!(stage.token(), Err(Error::CredentialMissing { .. })));
    assert!(matches!(stage.auth.connection("acme", Some("default")), Err(Error::CredentialMissing { .. })));
}

#[test]
fn a_revocation_during_a_refresh_gives_back_what_the_refresh_brings() {
    let stage = Stage::new();
    stage.at(3700);
    let (other, revoking) = (Arc::new(stage.other_process()), Arc::new(Mutex::new(None)));
    let kept = revoking.clone();
    stage.http.rule(move |seen| {
        if seen.url.ends_with("/token") {
            let other = other.clone();
            *kept.lock().unwrap() = Some(std::thread::spawn(move || other.revoke("acme", None).unwrap()));
            return scripted::json(200, NEXT);
        }
        answer(200, &[], "")
    });
    assert_eq!(stage.token().unwrap(), "at-1");
    let revoking = revoking.lock().unwrap().take().unwrap();
    assert_eq!(revoking.join().unwrap().at_provider, ["default"]);
    let seen = stage.http.seen();
    let given_back: Vec<String> = seen.iter().filter_map(|seen| seen.form("token")).collect();
    assert_eq!(given_back, ["rt-1", "at-1"]);
}

#[test]
fn tokens_of_another_account_are_refused_for_good() {
    let id_token = |subject: &str| {
        let claims =
            serde_json::to_vec(&json!({"iss": "https://auth.acme.example.com", "sub": subject})).unwrap();
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims))
    };
    let tokens = |number: u8, subject| {
        json!({"access_token": format!("at-{number}"), "refresh_token": format!("rt-{number}"), "expires_in": 3600,
            "id_token": id_token(subject)})
        .to_string()
    };
    let stage = Stage::new();
    stage.log_in(&tokens(0, "ann"));
    stage.at(3700);
    stage.http.say(scripted::json(200, &tokens(1, "ann")));
    assert_eq!(stage.token().unwrap(), "at-1");
    stage.at(7400);
    stage.http.say(scripted::json(200, &tokens(2, "bob")));
    let error = stage.token().unwrap_err();
    assert_eq!(error.exit_code(), 6);
    assert!(crate::auth::error::chain(&error).contains("another account"), "{error:?}");
    assert_eq!(stage.stored(), (ConnectionStatus::Invalid, "rt-1".into()));
}

#[test]
fn a_change_beside_the_tokens_is_kept() {
    let stage = Stage::new();
    stage.at(3700);
    let other = stage.other_process();
    stage.http.rule(move |_| {
        let mut found = other.connection("acme", None).unwrap();
        found.record.metadata.insert("note".into(), "kept".into());
        let key = other.keys().connection("acme", "default");
        other.vault().unwrap().put(&key, super::encode(&found.record)).unwrap();
        scripted::json(200, NEXT)
    });
    assert_eq!(stage.token().unwrap(), "at-1");
    assert_eq!(stage.auth.connection("acme", None).unwrap().record.metadata["note"], "kept");
}

#[test]
fn an_answer_that_was_lost_is_tried_once_more_and_then_told() {
    let stage = Stage::new();
    stage.at(3700);
    stage.http.say(scripted::broken());
    assert_eq!(stage.token().unwrap_err().exit_code(), 6);
    assert_eq!(stage.state().connections["default"].pending_since, Some(START + 3700));
    assert_eq!(stage.stored(), (ConnectionStatus::Connected, "rt-0".into()), "the old token is kept");
    stage.at(3800);
    stage.http.say(scripted::json(400, r#"{"error":"invalid_grant"}"#));
    let error = stage.token().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("cut off") && cause.contains("authsome login acme"), "{cause}");
    assert_eq!(stage.refreshes(), 2);
}

#[test]
fn a_request_that_was_never_sent_leaves_no_doubt() {
    let stage = Stage::new();
    stage.at(3700);
    stage.http.say(scripted::unreachable());
    assert_eq!(stage.token().unwrap_err().exit_code(), 6);
    assert_eq!(stage.state().connections["default"].pending_since, None);
}

#[test]
fn the_intent_is_on_disk_before_the_request_is_sent() {
    let stage = Stage::new();
    stage.at(3700);
    let other = stage.other_process();
    stage.http.rule(move |_| {
        let key = other.keys().state("acme");
        let item = other.vault().unwrap().get(&key).unwrap().unwrap();
        let state: Value = serde_json::from_slice(item.value.expose()).unwrap();
        assert!(state["connections"]["default"]["pending_since"].is_string(), "{state}");
        scripted::json(200, NEXT)
    });
    assert_eq!(stage.token().unwrap(), "at-1");
}

#[test]
fn a_store_that_cannot_be_written_costs_no_refresh_token() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    stage.at(3400);
    let lock = stage.auth.profile().generation();
    std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    assert_eq!(stage.token().unwrap(), "at-0", "a good token is used all the same");
    assert_eq!(stage.refreshes(), 0, "what cannot be stored is not spent");
}

#[test]
fn a_refused_token_is_renewed_once_and_not_when_it_is_young() {
    let stage = Stage::new();
    let version = || stage.auth.connection("acme", None).unwrap().version.unwrap();
    let refused = |version| stage.auth.renewed("acme", None, Renewal::Refused { version });
    let first = version();
    stage.at(59);
    assert_eq!(refused(first).unwrap().version, Some(first));
    assert_eq!(stage.refreshes(), 0, "a token this young was refused for another reason");
    stage.at(61);
    stage.http.say(scripted::json(200, NEXT));
    let renewed = refused(first).unwrap();
    assert_eq!(renewed.record.access_token.unwrap().expose(), "at-1");
    assert_eq!(refused(first).unwrap().version, Some(version()), "somebody has replaced it since");
    assert_eq!(stage.refreshes(), 1);
    stage.at(200);
    stage.http.rule(|_| answer(503, &[], ""));
    for _ in 0..5 {
        assert_eq!(refused(version()).unwrap().version, Some(version()));
    }
    assert_eq!(stage.refreshes(), 2);
}

#[test]
fn an_api_key_is_never_renewed() {
    let home = tempfile::tempdir().unwrap();
    let http = Arc::new(Scripted::default());
    let clock = Arc::new(Hands(AtomicI64::new(START)));
    let definition = json!({"schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "api_key", "flow": "api_key",
        "host_url": "api.acme.example.com", "api_key": {}});
    let auth = super::super::session::tests::Stage::service(&home, &http, definition, clock);
    let values = [("api_key".to_owned(), "sk-1".into())].into();
    let made = auth.login(&Login { provider: "acme", values, ..Login::default() }).unwrap();
    let refused = Renewal::Refused { version: made.version.unwrap() };
    assert_eq!(auth.renewed("acme", None, refused).unwrap().version, made.version);
    assert!(http.seen().is_empty());
}

#[test]
fn a_token_of_the_client_itself_is_asked_for_anew() {
    let stage = Stage::new();
    let login = Login {
        provider: "acme",
        client: Some(client()),
        force: true,
        scopes: vec!["read".into()],
        flow: Some(authsome_providers::FlowType::ClientCredentials),
        ..Login::default()
    };
    let mut session = stage.auth.begin_login(&login).unwrap();
    stage.http.say(scripted::json(200, r#"{"access_token":"cc-0","expires_in":600}"#));
    stage.auth.resume_login(&mut session, None).unwrap();
    stage.at(599);
    stage.http.say(scripted::json(200, r#"{"access_token":"cc-1","expires_in":600}"#));
    assert_eq!(stage.token().unwrap(), "cc-1");
    let last = stage.http.last();
    assert_eq!(
        (last.form("grant_type").as_deref(), last.form("scope").as_deref()),
        (Some("client_credentials"), Some("read"))
    );
}

/// Kept so that a test may wait for a request that another thread makes.
#[test]
fn a_waiting_process_takes_the_token_that_another_one_got() {
    let stage = Stage::new();
    stage.at(3700);
    let (entered, seen) = std::sync::mpsc::channel();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    stage.http.rule(move |_| {
        entered.send(()).unwrap();
        gate.lock().unwrap().recv().unwrap();
        scripted::json(200, NEXT)
    });
    let other = stage.other_process();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| stage.token().unwrap());
        seen.recv().unwrap();
        let second = scope.spawn(|| other.access_token("acme", None).unwrap().expose().clone());
        release.send(()).unwrap();
        assert_eq!((first.join().unwrap(), second.join().unwrap()), ("at-1".into(), "at-1".into()));
    });
    assert_eq!(stage.refreshes(), 1);
}
