//! Where the master key comes from, and how another takes its place.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use http::Version;
use serde_json::Value;

use crate::support::client::Ask;
use crate::support::definition::{Definition, key_of};
use crate::support::disk::Disk;
use crate::support::home::Home;
use crate::support::run::{Run, SHELL};
use crate::support::world::{World, alpha_bearer};

const PASSPHRASE: &str = "correct horse battery staple";

fn file(home: &Home, name: &str, content: &str) -> PathBuf {
    let path = home.scratch().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// The program with a passphrase in a file.
fn with(home: &Home, passphrase: &str, arguments: &[&str]) -> Command {
    let mut command = home.command();
    command.args(arguments).env("AUTHSOME_PASSPHRASE_FILE", file(home, "passphrase", passphrase));
    command
}

#[track_caller]
fn ok(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, error: &str) -> String {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), document["error"].as_str()), (Some(code), Some(error)), "{document}");
    document["message"].as_str().unwrap().to_owned()
}

const GET: [&str; 5] = ["get", "alpha", "--field", "api_key", "--show-secret"];

/// A home that a passphrase seals, with `alpha` in it.
fn sealed() -> Home {
    let home = Home::new();
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    ok(with(&home, PASSPHRASE, &["init", "--encryption", "passphrase"]));
    let mut login = with(&home, PASSPHRASE, &["login", "alpha", "--stdin"]);
    login.stdin(std::fs::File::open(file(&home, "key", &key_of("alpha"))).unwrap());
    ok(login);
    home
}

fn settings(home: &Home) -> Value {
    serde_json::from_slice(&std::fs::read(home.path().join("config.json")).unwrap()).unwrap()
}

#[test]
fn a_passphrase_opens_the_vault_and_no_file_holds_a_key() {
    let home = sealed();
    assert!(!home.path().join("master.key").exists());
    let encryption = &settings(&home)["encryption"];
    assert_eq!(encryption["mode"], "passphrase");
    assert!(encryption["argon2id"]["salt"].as_str().unwrap().len() >= 20, "{encryption}");
    // The line end that an editor adds is none of it.
    let passphrase = format!("{PASSPHRASE}\n");
    assert_eq!(ok(with(&home, &passphrase, &GET)).trim(), key_of("alpha"));
    let whoami: Value = serde_json::from_str(&ok(with(&home, PASSPHRASE, &["--json", "whoami"]))).unwrap();
    assert_eq!(
        (whoami["encryption_backend"].as_str(), whoami["vault_status"].as_str()),
        (Some("passphrase"), Some("OK"))
    );
}

#[test]
fn a_wrong_missing_or_unreadable_passphrase_is_exit_7_and_says_so() {
    let home = sealed();
    let json = [&["--json"], &GET[..]].concat();
    let said = |mut command: Command| refused(&command.output().unwrap(), 7, "EncryptionUnavailableError");
    for wrong in ["correct horse", "Correct horse battery staple", "correct horse battery staple "] {
        let message = said(with(&home, wrong, &json));
        assert!(message.contains("passphrase is not the one"), "{message}");
        assert!(!message.contains("horse"), "{message}");
    }
    assert!(said(with(&home, "", &json)).contains("empty"));
    let mut none = home.command();
    none.args(&json);
    assert!(said(none).contains("AUTHSOME_PASSPHRASE_FILE"));
    let mut nowhere = home.command();
    nowhere.args(&json).env("AUTHSOME_PASSPHRASE_FILE", "/does/not/exist");
    assert!(said(nowhere).contains("/does/not/exist"));
    assert_eq!(ok(with(&home, PASSPHRASE, &GET)).trim(), key_of("alpha"));
}

#[test]
fn a_derivation_that_was_made_unbearable_or_changed_is_exit_7() {
    let home = sealed();
    let path = home.path().join("config.json");
    let before = std::fs::read(&path).unwrap();
    let json = [&["--json"], &GET[..]].concat();
    for (field, value, said) in [
        ("memory_kib", serde_json::json!(4_000_000_000_u32), "sane"),
        ("passes", serde_json::json!(1_000_000), "sane"),
        ("passes", serde_json::json!(1), "passphrase is not the one"),
        ("salt", serde_json::json!("AAAAAAAAAAAAAAAAAAAAAA=="), "passphrase is not the one"),
        ("salt", serde_json::json!("?"), "salt"),
    ] {
        let mut changed = settings(&home);
        changed["encryption"]["argon2id"][field] = value;
        std::fs::write(&path, changed.to_string()).unwrap();
        let output = with(&home, PASSPHRASE, &json).output().unwrap();
        let message = refused(&output, 7, "EncryptionUnavailableError");
        assert!(message.contains(said), "{field}: {message}");
        std::fs::write(&path, &before).unwrap();
    }
    assert_eq!(ok(with(&home, PASSPHRASE, &GET)).trim(), key_of("alpha"));
}

#[test]
fn a_mode_is_chosen_before_the_first_record_and_changed_by_rekey_alone() {
    let home = Home::new();
    home.ok(&["init"]);
    ok(with(&home, PASSPHRASE, &["init", "--encryption", "passphrase"]));
    home.ok(&["init", "--encryption", "local_key"]);
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    home.login("alpha", &key_of("alpha"));
    let output = with(&home, PASSPHRASE, &["--json", "init", "--encryption", "passphrase"]).output().unwrap();
    let message = refused(&output, 7, "EncryptionUnavailableError");
    assert!(message.contains("vault rekey --to passphrase"), "{message}");
    let mut edited = settings(&home);
    edited["encryption"]["mode"] = "passphrase".into();
    let before = std::fs::read(home.path().join("config.json")).unwrap();
    std::fs::write(home.path().join("config.json"), edited.to_string()).unwrap();
    let output = with(&home, PASSPHRASE, &["--json", "get", "alpha"]).output().unwrap();
    assert!(refused(&output, 7, "EncryptionUnavailableError").contains("vault rekey"));
    std::fs::write(home.path().join("config.json"), before).unwrap();
    home.ok(&["get", "alpha"]);
}

#[test]
fn a_child_of_a_run_gets_no_passphrase_and_cannot_open_the_vault() {
    let home = sealed();
    let mut command = with(&home, PASSPHRASE, &["run", "--require", "alpha", "--"]);
    command.args(SHELL);
    let mut run = Run::start(command);
    assert_eq!(run.variable("AUTHSOME_PASSPHRASE_FILE"), "");
    let (program, path) = (env!("CARGO_BIN_EXE_authsome"), home.path());
    run.tell(&format!("{program} --home {} get alpha >/dev/null 2>&1; echo $?", path.display()));
    assert_eq!(run.line(), "7");
}

#[test]
fn rekey_moves_between_sources_and_loses_nothing() {
    let home = Home::new();
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    home.login("alpha", &key_of("alpha"));
    home.ok(&["profile", "create", "work"]);
    home.login_with(&["--profile", "work", "login", "alpha", "--stdin"], "sk-work");
    let first = std::fs::read(home.path().join("master.key")).unwrap();

    let rekeyed: Value = serde_json::from_str(&home.ok(&["--json", "vault", "rekey"])).unwrap();
    assert_eq!(
        rekeyed,
        serde_json::json!({"status": "rekeyed", "encryption": "local_key", "profiles": 2, "records": 4})
    );
    assert_ne!(std::fs::read(home.path().join("master.key")).unwrap(), first);
    assert_eq!(home.ok(&GET).trim(), key_of("alpha"));

    ok(with(&home, PASSPHRASE, &["vault", "rekey", "--to", "passphrase"]));
    assert!(!home.path().join("master.key").exists());
    assert_eq!(ok(with(&home, PASSPHRASE, &GET)).trim(), key_of("alpha"));

    let mut change = with(&home, PASSPHRASE, &["vault", "rekey", "--passphrase-file"]);
    change.arg(file(&home, "second", "second passphrase"));
    ok(change);
    let old = with(&home, PASSPHRASE, &["--json", "get", "alpha"]).output().unwrap();
    refused(&old, 7, "EncryptionUnavailableError");
    let work = [&["--profile", "work"], &GET[..]].concat();
    assert_eq!(ok(with(&home, "second passphrase", &work)).trim(), "sk-work");

    ok(with(&home, "second passphrase", &["vault", "rekey", "--to", "local_key"]));
    assert_eq!(home.ok(&GET).trim(), key_of("alpha"));
    assert_eq!(home.ok(&work).trim(), "sk-work");
    let reasons: Vec<Value> = home.audit().into_iter().filter(|entry| entry["event"] == "vault").collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
}

#[test]
fn rekey_is_refused_where_it_cannot_be_done_and_says_what_to_do() {
    let home = sealed();
    let mut command = home.command();
    command.args(["--json", "vault", "rekey"]).env("AUTHSOME_MASTER_KEY", "ab".repeat(32));
    let message = refused(&command.output().unwrap(), 2, "AuthsomeError");
    assert!(message.contains("unset the variable"), "{message}");
    // The passphrase that is in force is not taken for the new one.
    let output = with(&home, PASSPHRASE, &["--json", "vault", "rekey"]).output().unwrap();
    assert!(refused(&output, 2, "AuthsomeError").contains("--passphrase-file"));
    let both = ["--json", "vault", "rekey", "--to", "local_key", "--passphrase-file", "x"];
    refused(&with(&home, PASSPHRASE, &both).output().unwrap(), 2, "AuthsomeError");
    let wrong = ["--json", "vault", "rekey", "--to", "local_key"];
    refused(&with(&home, "wrong", &wrong).output().unwrap(), 7, "EncryptionUnavailableError");
    assert_eq!(ok(with(&home, PASSPHRASE, &GET)).trim(), key_of("alpha"));
}

#[tokio::test]
async fn a_running_proxy_goes_on_with_the_new_key() {
    let world = World::new().await;
    world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
    for key in ["sk-alpha-second", "sk-alpha-third"] {
        world.home.ok(&["vault", "rekey"]);
        world.ask(Version::HTTP_2, &Ask::get("/")).await.expect(200);
        world.home.login_with(&["login", "alpha", "--stdin", "--force"], key);
        world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values("authorization"), [format!("Bearer {key}")]);
    }
    assert_eq!(world.origin.requests()[0].values("authorization"), [alpha_bearer()]);
}

#[tokio::test]
async fn a_proxy_that_cannot_have_the_new_key_forwards_nothing() {
    let world = World::new().await;
    world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
    ok(with(&world.home, PASSPHRASE, &["vault", "rekey", "--to", "passphrase"]));
    let answer = world.ask(Version::HTTP_11, &Ask::get("/")).await;
    let (status, reason) = answer.refusal();
    assert!(status >= 500, "{status} {reason}");
    assert_eq!(world.origin.requests().len(), 1);
}

#[tokio::test]
async fn a_rekey_that_is_killed_leaves_a_key_that_opens_everything() {
    let world = World::new().await;
    let home = &world.home;
    home.ok(&["profile", "create", "work"]);
    home.login_with(&["--profile", "work", "login", "alpha", "--stdin"], "sk-work");
    let work = [&["--profile", "work"], &GET[..]].concat();
    for step in 0..30 {
        let mut command = home.command();
        command.args(["vault", "rekey"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(3 * step));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(home.ok(&GET).trim(), key_of("alpha"), "after {step}");
        assert_eq!(home.ok(&work).trim(), "sk-work", "after {step}");
        world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
    }
    home.ok(&["vault", "rekey"]);
    assert_eq!(home.ok(&GET).trim(), key_of("alpha"));
}

#[test]
fn a_rekey_on_a_full_disk_is_exit_7_or_succeeds_and_loses_nothing() {
    let home = Home::new();
    let Some(disk) = Disk::mount(&home.path()) else { return };
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    home.login("alpha", &key_of("alpha"));
    let mut failed = 0;
    for room in (0..=96).step_by(8) {
        disk.fill(room);
        let output = home.run(&["--json", "vault", "rekey"]);
        disk.clear();
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(7), "{output:?}");
            failed += 1;
        }
        assert_eq!(home.ok(&GET).trim(), key_of("alpha"), "with room for {room} KiB");
    }
    assert!(failed > 0, "the disk was never full");
    home.ok(&["vault", "rekey"]);
    assert_eq!(home.ok(&GET).trim(), key_of("alpha"));
}
