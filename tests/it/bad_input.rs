//! Rule 27 and bad input: each failure has its own name and exit code, and what was stored is still there.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::definition::{Definition, key_of};
use crate::support::home::Home;

fn connected() -> Home {
    let home = Home::new();
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    home.login("alpha", &key_of("alpha"));
    home
}

/// Exit code and error name of a command that must fail; both outputs are checked for shape.
#[track_caller]
fn failure(home: &Home, arguments: &[&str]) -> (i32, String) {
    let output = home.run(&[&["--json"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!(
            "{arguments:?}: not one JSON document ({error}): {text:?} {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    assert!(document["message"].is_string(), "{document}");
    (output.status.code().unwrap(), document["error"].as_str().unwrap().to_owned())
}

#[track_caller]
fn expect(home: &Home, arguments: &[&str], code: i32, name: &str) {
    assert_eq!(failure(home, arguments), (code, name.to_owned()), "{arguments:?}");
}

#[test]
fn what_is_missing_or_unknown_has_its_own_error() {
    let home = connected();
    for (arguments, code, name) in [
        (vec!["login", "nobody", "--stdin"], 3, "ProviderNotFoundError"),
        (vec!["get", "nobody"], 3, "ProviderNotFoundError"),
        (vec!["inspect", "nobody"], 3, "ProviderNotFoundError"),
        (vec!["logout", "nobody"], 3, "ProviderNotFoundError"),
        (vec!["get", "openai"], 5, "CredentialMissingError"),
        (vec!["export", "openai"], 5, "CredentialMissingError"),
        (vec!["logout", "openai"], 5, "CredentialMissingError"),
        (vec!["get", "alpha", "--connection", "second"], 5, "ConnectionNotFoundError"),
        (vec!["--profile", "nobody", "list"], 1, "ProfileNotFoundError"),
        (vec!["login", "alpha", "--stdin"], 1, "AuthsomeError"),
    ] {
        expect(&home, &arguments, code, name);
    }
    assert_eq!(failure(&home, &["get", "alpha", "--field", "nothing"]).0, 2);
    assert_eq!(failure(&home, &["no-such-command"]).0, 2);
    assert_eq!(failure(&home, &["login"]).0, 2);
    assert_eq!(failure(&home, &["list", "--no-such-flag"]).0, 2);
}

#[test]
fn an_unknown_provider_is_answered_with_the_nearest_name() {
    let output = Home::new().run(&["login", "opnai", "--stdin"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("openai"), "{output:?}");
}

#[test]
fn a_wrong_master_key_is_exit_7_and_loses_nothing() {
    let home = connected();
    let path = home.path().join("master.key");
    let good = std::fs::read(&path).unwrap();
    let other = Home::new();
    other.ok(&["init"]);
    other.define(&Definition::bearer("alpha", "api.alpha.test"));
    other.login("alpha", "other");
    std::fs::write(&path, std::fs::read(other.path().join("master.key")).unwrap()).unwrap();
    expect(&home, &["get", "alpha"], 7, "EncryptionUnavailableError");
    std::fs::write(&path, good).unwrap();
    assert!(home.ok(&["get", "alpha", "--field", "api_key", "--show-secret"]).contains(&key_of("alpha")));
}

#[test]
fn a_master_key_that_others_can_read_is_exit_7() {
    let home = connected();
    let path = home.path().join("master.key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    expect(&home, &["get", "alpha"], 7, "EncryptionUnavailableError");
}

#[test]
fn a_master_key_that_is_gone_or_broken_is_exit_7_and_not_made_anew() {
    let home = connected();
    let path = home.path().join("master.key");
    std::fs::write(&path, "{}").unwrap();
    expect(&home, &["get", "alpha"], 7, "EncryptionUnavailableError");
    std::fs::remove_file(&path).unwrap();
    expect(&home, &["get", "alpha"], 7, "EncryptionUnavailableError");
    assert!(!path.exists(), "a new key was made over an old store");
}

#[test]
fn a_store_that_is_corrupted_is_exit_7() {
    let home = connected();
    let store = home.path().join("profiles/default/store.db");
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(store.with_file_name(format!("store.db{suffix}")));
    }
    std::fs::write(&store, [0x5a; 8192]).unwrap();
    expect(&home, &["get", "alpha"], 7, "StoreUnavailableError");
    assert_eq!(std::fs::read(&store).unwrap(), [0x5a; 8192], "the damaged store was touched");
}

#[test]
fn a_home_of_a_newer_version_is_exit_7() {
    let home = connected();
    std::fs::write(home.path().join("version"), "999\n").unwrap();
    expect(&home, &["get", "alpha"], 7, "StoreUnavailableError");
}

#[test]
fn a_store_of_a_newer_version_is_exit_7_and_is_left_alone() {
    let home = connected();
    let path = home.path().join("profiles/default/store.db");
    let known: u32 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    let format = |number: u32| {
        let store = rusqlite::Connection::open(&path).unwrap();
        store.pragma_update(None, "user_version", number).unwrap();
    };
    format(999);
    for arguments in [&["get", "alpha"][..], &["logout", "alpha"], &["run", "true"]] {
        expect(&home, arguments, 7, "StoreUnavailableError");
    }
    let output = home.run(&["get", "alpha"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("format 999"), "{output:?}");
    format(known);
    assert!(home.ok(&["get", "alpha", "--field", "api_key", "--show-secret"]).contains(&key_of("alpha")));
}

#[test]
fn a_tampered_record_is_exit_7_and_the_others_still_open() {
    let home = connected();
    home.login_with(&["login", "alpha", "--stdin", "--connection", "second"], "second-key");
    let store = rusqlite::Connection::open(home.path().join("profiles/default/store.db")).unwrap();
    let key = "profile:default:alpha:connection:default";
    let whole: Vec<u8> =
        store.query_row("SELECT value FROM kv WHERE key = ?1", [key], |row| row.get(0)).unwrap();
    let write = |value: &[u8]| {
        store.execute("UPDATE kv SET value = ?2 WHERE key = ?1", rusqlite::params![key, value]).unwrap()
    };
    let show = ["get", "alpha", "--field", "api_key", "--show-secret", "--connection"];
    for place in [0, whole.len() / 2, whole.len() - 1] {
        let mut tampered = whole.clone();
        tampered[place] ^= 1;
        write(&tampered);
        expect(&home, &["get", "alpha"], 7, "EncryptionUnavailableError");
        assert_eq!(home.ok(&[&show[..], &["second"]].concat()), "second-key\n");
    }
    write(&whole);
    assert_eq!(home.ok(&[&show[..], &["default"]].concat()).trim(), key_of("alpha"));
}

#[test]
fn a_broken_definition_is_named_by_doctor_and_the_rest_works() {
    let home = connected();
    std::fs::write(home.path().join("providers/broken.json"), "{ \"name\": ").unwrap();
    home.ok(&["get", "alpha"]);
    home.ok(&["list"]);
    let output = home.run(&["--json", "doctor"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failed: Vec<_> =
        report["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert!(failed.iter().any(|check| check.to_string().contains("broken.json")), "{failed:?}");
    assert!(failed.iter().all(|check| check["fix"].is_string()), "{failed:?}");
}

#[test]
fn a_definition_is_refused_with_the_field_that_fails() {
    let home = Home::new();
    let file = home.scratch().join("given.json");
    for (field, value) in [
        ("host_url", serde_json::json!("http://api.given.test")),
        ("host_url", serde_json::json!("127.0.0.1")),
        ("name", serde_json::json!("../given")),
        ("auth_type", serde_json::json!("magic")),
        ("flow", serde_json::json!("pkce")),
        ("placeholder", serde_json::json!("short")),
    ] {
        let definition = Definition::bearer("given", "api.given.test").with(field, value);
        std::fs::write(&file, definition.0.to_string()).unwrap();
        let output = home.run(&["--json", "register", file.to_str().unwrap(), "--force"]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(2), "{document}");
        assert_eq!(document["error"], "InvalidProviderSchemaError");
        let message = document["message"].as_str().unwrap();
        assert!(message.contains(field) && message.contains("given.json"), "{message}");
    }
    assert_eq!(std::fs::read_dir(home.path().join("providers")).map_or(0, Iterator::count), 0);
}

#[test]
fn commands_at_once_lose_nothing() {
    let home = connected();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let home = &home;
            scope.spawn(move || {
                let connection = format!("c{number}");
                home.login_with(&["login", "alpha", "--stdin", "--connection", &connection], &connection);
            });
        }
    });
    for number in 0..6 {
        let connection = format!("c{number}");
        let key =
            home.ok(&["get", "alpha", "--connection", &connection, "--field", "api_key", "--show-secret"]);
        assert_eq!(key.trim(), connection);
    }
}

#[test]
fn a_store_that_another_process_writes_can_still_be_read() {
    let home = connected();
    let mut store = rusqlite::Connection::open(home.path().join("profiles/default/store.db")).unwrap();
    let transaction = store.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    assert!(home.ok(&["get", "alpha", "--field", "api_key", "--show-secret"]).contains(&key_of("alpha")));
    transaction.rollback().unwrap();
}
