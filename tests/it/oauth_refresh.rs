//! Refreshes of many processes, and of processes that are killed.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use authsome::ConnectionStatus;
use serde_json::Value;

use super::support::account;
use super::support::authority::Authority;
use super::support::home::Home;
use super::support::issuer::{Fault, Issuer};

struct Stage {
    home: Home,
    issuer: Issuer,
    settings: String,
}

impl Stage {
    /// `alpha` is connected with an access token that has ended.
    async fn new() -> Self {
        let (home, authority) = (Home::new(), Authority::new());
        let issuer = Issuer::start(&authority).await;
        account::connect(&home, &issuer, -1);
        let file = home.scratch().join("issuer-ca.pem");
        std::fs::write(&file, authority.pem()).unwrap();
        let mapping = format!("auth.alpha.test:443:127.0.0.1:{}", issuer.address.port());
        let settings = serde_json::json!({"spec_version": 1, "upstream_ca": [file], "connect_to": [mapping]})
            .to_string();
        std::fs::write(home.path().join("config.json"), &settings).unwrap();
        Self { home, issuer, settings }
    }

    /// A process that needs the token.
    fn export(&self) -> Command {
        let mut command = self.home.command();
        command.args(["--json", "export", "alpha"]).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// The exit code, and the token that was printed.
    fn exported(&self) -> (i32, Value) {
        finished(self.export().spawn().unwrap())
    }
}

fn finished(process: Child) -> (i32, Value) {
    let output = process.wait_with_output().unwrap();
    (output.status.code().unwrap_or(-1), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_processes_that_need_the_same_token_refresh_once() {
    let stage = Stage::new().await;
    stage.issuer.hold(true);
    let processes: Vec<Child> = (0..100).map(|_| stage.export().spawn().unwrap()).collect();
    stage.issuer.asked(1).await;
    stage.issuer.hold(false);
    let ends: Vec<(i32, Value)> = processes.into_iter().map(finished).collect();
    let token = account::record(&stage.home).access_token.unwrap();
    for (code, document) in &ends {
        assert_eq!((*code, document["ALPHA_ACCESS_TOKEN"].as_str()), (0, Some(token.expose().as_str())));
    }
    let counts = stage.issuer.counts();
    assert_eq!((ends.len(), counts.refreshes, counts.reused), (100, 1, 0));
    assert!(stage.issuer.is_live(account::record(&stage.home).refresh_token.unwrap().expose()));
}

/// What a kill has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// The refresh token in the vault is good.
    Usable,
    /// The server had rotated and the answer was not on disk yet: nobody can save that one.
    BetweenRotationAndDisk,
}

/// Rounds in a test run; the rest of the promised 200 is what `AUTHSOME_KILL_ROUNDS` is for.
fn rounds() -> usize {
    std::env::var("AUTHSOME_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// A process that refreshes is killed after so long a time, and what it has left is judged.
fn killed_after(stage: &Stage, pause: Duration) -> Left {
    account::connect(&stage.home, &stage.issuer, -1);
    std::fs::write(stage.home.path().join("config.json"), &stage.settings).unwrap();
    let before = stage.issuer.counts();
    let mut process = stage.export().spawn().unwrap();
    // The moment of the kill is what is varied; nothing is waited for.
    let start = std::time::Instant::now();
    while start.elapsed() < pause {
        std::hint::spin_loop();
    }
    let _ = process.kill();
    let _ = process.wait();
    let record = account::record(&stage.home);
    assert_eq!(record.status, ConnectionStatus::Connected);
    if stage.issuer.is_live(record.refresh_token.as_ref().unwrap().expose()) {
        let (code, document) = stage.exported();
        let token = document["ALPHA_ACCESS_TOKEN"].as_str().unwrap_or_default();
        assert!(code == 0 && stage.issuer.is_valid(token), "{code}: {document}");
        return Left::Usable;
    }
    let rotated = stage.issuer.counts().refreshes - before.refreshes;
    assert_eq!(rotated, 1, "a refresh token was lost without a rotation");
    let (code, document) = stage.exported();
    let message = document["message"].as_str().unwrap_or_default();
    assert_eq!((code, &document["error"]), (6, &Value::from("RefreshFailedError")), "{document}");
    assert!(message.contains("cut off") && message.contains("authsome login alpha"), "{document}");
    assert_eq!(stage.exported().0, 6);
    assert_eq!(stage.issuer.counts().refreshes - before.refreshes, 2, "one attempt, and no more");
    assert_eq!(account::record(&stage.home).status, ConnectionStatus::Invalid);
    Left::BetweenRotationAndDisk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_while_it_refreshes_loses_no_token() {
    let stage = Stage::new().await;
    let start = std::time::Instant::now();
    assert_eq!(stage.exported().0, 0);
    let whole = start.elapsed();
    let mut left: BTreeMap<Left, usize> = BTreeMap::new();
    for round in 0..rounds() {
        let mut random = [0u8; 4];
        getrandom::fill(&mut random).unwrap();
        let share = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        let pause = whole.mul_f64(share * 1.2);
        *left.entry(killed_after(&stage, pause)).or_default() += 1;
        assert!(round < 10_000);
    }
    println!("killed {} times while refreshing: {left:?}", rounds());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_tried_once_more_then_told_with_the_command_that_repairs_it() {
    for fault in [Fault::DropAfterCommit, Fault::Truncate] {
        let stage = Stage::new().await;
        stage.issuer.fail([fault]);
        let (code, document) = stage.exported();
        assert_eq!((code, &document["error"]), (6, &Value::from("RefreshFailedError")), "{document}");
        assert_eq!(
            account::record(&stage.home).status,
            ConnectionStatus::Connected,
            "it is not given up yet"
        );
        assert_eq!(stage.exported().0, 6);
        assert_eq!(stage.issuer.counts().refreshes, 1, "no second attempt at once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_is_a_line_of_the_audit_log_without_a_token() {
    let stage = Stage::new().await;
    assert_eq!(stage.exported().0, 0);
    stage.issuer.fail([Fault::Say(503, "text/plain", "busy".into())]);
    account::expire(&stage.home);
    assert_eq!(stage.exported().0, 6);
    let events = stage.home.audit().into_iter().filter(|event| event["event"] == "refresh");
    let outcomes: Vec<(Value, Value)> =
        events.map(|event| (event["outcome"].clone(), event["connection"].clone())).collect();
    assert_eq!(outcomes, [("ok".into(), "default".into()), ("failed".into(), "default".into())]);
    let log = std::fs::read_to_string(stage.home.audit_file()).unwrap();
    assert!(log.contains("503") && !log.contains("canary"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_definition_gets_no_refresh_token_until_a_person_allows_it() {
    let stage = Stage::new().await;
    let mut edited = Issuer::definition();
    edited.0["oauth"]["token_url"] = "https://auth.alpha.test/elsewhere".into();
    stage.home.define(&edited);
    let (code, document) = stage.exported();
    let message = document["message"].as_str().unwrap();
    assert_eq!((code, &document["error"]), (6, &Value::from("RefreshFailedError")), "{document}");
    assert!(message.contains("auth.alpha.test/elsewhere") && message.contains("--rebind"), "{document}");
    stage.home.define(&Issuer::definition());
    assert_eq!(
        (stage.exported().0, stage.issuer.counts().refreshes),
        (0, 1),
        "and no pause was noted for it"
    );
}
