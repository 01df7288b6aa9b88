//! Rules 27 and 28: a full disk and a read-only home have their own errors, and what was committed is still there.

use std::process::Output;

use http::Version;
use serde_json::Value;

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::{Definition, key_of};
use crate::support::disk::Disk;
use crate::support::home::Home;
use crate::support::until;
use crate::support::world::{ALPHA, World};

fn connected() -> Option<(Home, Disk)> {
    let home = Home::new();
    let disk = Disk::mount(&home.path())?;
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    home.login("alpha", &key_of("alpha"));
    Some((home, disk))
}

fn key(home: &Home) -> String {
    home.ok(&["get", "alpha", "--field", "api_key", "--show-secret"]).trim().to_owned()
}

/// The message of a command that must fail for want of a store that can be used.
#[track_caller]
fn complaint(output: &Output) -> String {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(7), "{document}");
    assert_eq!(document["error"], "StoreUnavailableError", "{document}");
    document["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_login_on_a_full_disk_is_exit_7_and_loses_nothing_or_it_succeeds() {
    let Some((home, disk)) = connected() else { return };
    let (mut failed, mut stored) = (0, key_of("alpha"));
    for room in (0..=96).step_by(4) {
        let new = format!("sk-alpha-stored-in-{room}");
        disk.fill(room);
        let output = home.run_with(&["--json", "login", "alpha", "--stdin", "--force"], &new);
        disk.clear();
        if output.status.success() {
            stored = new;
        } else {
            complaint(&output);
            failed += 1;
        }
        assert_eq!(key(&home), stored, "with room for {room} KiB: {output:?}");
    }
    assert!(failed > 0 && stored != key_of("alpha"), "the disk was never or always full");
}

#[test]
fn every_command_on_a_full_disk_is_exit_7_and_the_store_opens_when_there_is_room_again() {
    let Some((home, disk)) = connected() else { return };
    disk.fill(0);
    for arguments in [
        &["get", "alpha"][..],
        &["list"],
        &["export", "alpha"],
        &["logout", "alpha"],
        &["profile", "create", "other"],
        &["run", "true"],
        &["proxy", "--listen", "127.0.0.1:0"],
    ] {
        complaint(&home.run(&[&["--json"], arguments].concat()));
    }
    disk.clear();
    assert_eq!(key(&home), key_of("alpha"));
    home.ok(&["profile", "create", "other"]);
    home.ok(&["logout", "alpha"]);
}

#[test]
fn a_full_disk_is_called_full() {
    let Some((home, disk)) = connected() else { return };
    disk.fill(0);
    for arguments in [&["get", "alpha"][..], &["logout", "alpha"], &["run", "true"]] {
        let message = complaint(&home.run(&[&["--json"], arguments].concat()));
        assert!(message.to_lowercase().contains("no space"), "{arguments:?}: {message}");
    }
}

#[test]
fn explain_on_a_full_disk_is_exit_7() {
    let Some((home, disk)) = connected() else { return };
    disk.fill(0);
    complaint(&home.run(&["--json", "explain", "https://api.alpha.test"]));
}

#[test]
fn the_doctor_does_not_advise_to_move_away_a_store_that_is_whole() {
    let Some((home, disk)) = connected() else { return };
    let advice = || {
        let report: Value = serde_json::from_slice(&home.run(&["--json", "doctor"]).stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "store").unwrap()["fix"].to_string()
    };
    disk.fill(0);
    let full = advice();
    disk.clear();
    disk.make_read_only();
    for fix in [full, advice()] {
        assert!(!fix.contains("move it away"), "{fix}");
    }
}

#[test]
fn a_read_only_home_is_exit_7_says_so_and_keeps_what_it_holds() {
    let Some((home, disk)) = connected() else { return };
    disk.make_read_only();
    for arguments in [
        &["get", "alpha"][..],
        &["list"],
        &["logout", "alpha"],
        &["connection", "default", "alpha", "default"],
        &["run", "true"],
    ] {
        let message = complaint(&home.run(&[&["--json"], arguments].concat()));
        assert!(message.contains("the store is read-only"), "{arguments:?}: {message}");
    }
    for arguments in [&["profile", "create", "other"][..], &["proxy", "--listen", "127.0.0.1:0"]] {
        let message = complaint(&home.run(&[&["--json"], arguments].concat()));
        assert!(message.contains("Read-only file system"), "{arguments:?}: {message}");
    }
    let login = home.run_with(&["--json", "login", "alpha", "--stdin", "--force"], "sk-other");
    assert!(complaint(&login).contains("read-only"), "{login:?}");
    disk.make_writable();
    assert_eq!(key(&home), key_of("alpha"));
}

/// How many exchanges the audit log shows as sent; torn lines count for nothing.
fn recorded(home: &Home) -> usize {
    let text = std::fs::read_to_string(home.audit_file()).unwrap_or_default();
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.filter(|entry| entry["event"] == "exchange" && entry["outcome"] == "sending").count()
}

#[tokio::test]
async fn a_proxy_on_a_full_disk_forwards_nothing_and_records_what_it_forwarded_when_there_is_room_again() {
    let builder = World::builder();
    let Some(disk) = Disk::mount(&builder.home().path()) else { return };
    let world = builder.start().await;
    let mut wire = world.client.h1(ALPHA).await;
    let ask = || Ask::get("/").bytes(ALPHA);
    wire.ask(ask()).await.expect(200);
    disk.fill(0);
    crate::support::soon("a refusal", async {
        while wire.ask(ask()).await.header("authsome-error") != "audit-failed" {}
    })
    .await;
    let before = world.origin.requests().len();
    for version in VERSIONS {
        assert_eq!(world.ask(version, &Ask::get("/")).await.refusal(), (503, "audit-failed"));
    }
    assert_eq!(world.origin.requests().len(), before);
    disk.clear();
    crate::support::soon("an answer", async { while wire.ask(ask()).await.status != 200 {} }).await;
    world.ask(Version::HTTP_2, &Ask::get("/")).await.expect(200);
    let forwarded = world.origin.requests().len();
    until("all that was forwarded to be recorded", || recorded(&world.home) >= forwarded).await;
    drop(disk);
}
