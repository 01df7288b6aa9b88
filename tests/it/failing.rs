//! Rule 28: a failing audit log or vault stops injection.

use std::path::Path;

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::{Definition, key_of};
use crate::support::world::{ALPHA, World};

#[tokio::test]
async fn a_full_disk_under_the_audit_log_stops_injection() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    let audit = world.home.audit_file();
    std::fs::remove_file(&audit).unwrap();
    std::os::unix::fs::symlink("/dev/full", &audit).unwrap();
    // The writer notices the other file within its interval; from then on nothing is forwarded.
    crate::support::soon("a refusal", async {
        while wire.ask(Ask::get("/").bytes(ALPHA)).await.header("authsome-error") != "audit-failed" {}
    })
    .await;
    let before = world.origin.requests().len();
    for version in VERSIONS {
        assert_eq!(world.ask(version, &Ask::get("/")).await.refusal(), (503, "audit-failed"));
    }
    assert_eq!(world.origin.requests().len(), before);
}

fn destroy(store: &Path) {
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(store.with_file_name(format!("store.db{suffix}")));
    }
    std::fs::write(store, [0x5a; 8192]).unwrap();
}

#[tokio::test]
async fn a_vault_that_cannot_be_read_stops_injection() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    let profile = world.home.path().join("profiles/default");
    destroy(&profile.join("store.db"));
    std::fs::remove_file(profile.join("generation")).unwrap();
    // What was prepared may serve until the proxy looks at its files again, within a second.
    crate::support::soon("a refusal", async {
        while wire.ask(Ask::get("/").bytes(ALPHA)).await.header("authsome-error") != "vault-unavailable" {}
    })
    .await;
    let before = world.origin.requests().len();
    assert_eq!(world.client.connect(ALPHA).await.0.refusal(), (503, "vault-unavailable"));
    assert_eq!(world.origin.requests().len(), before);
}

#[tokio::test]
async fn an_exchange_is_audited_before_it_is_sent_and_at_its_end() {
    let world = World::new().await;
    let ask = Ask::get("/path?query=1").header("user-agent", "agent");
    world.ask(VERSIONS[0], &ask).await.expect(200);
    let end = world.home.audited("exchange", |entry| entry["status"] == 200).await;
    for (field, value) in [("provider", "alpha"), ("connection", "default"), ("method", "GET")] {
        assert_eq!(end[field], value, "{end}");
    }
    assert!(end["host"].as_str().unwrap().starts_with("api.alpha.test"), "{end}");
    assert_eq!((&end["bytes_sent"], &end["bytes_received"]), (&0.into(), &5.into()), "{end}");
    assert!(end["time"].is_string() && end["ms"].is_number(), "{end}");
    let text = std::fs::read_to_string(world.home.audit_file()).unwrap();
    assert!(!text.contains("query=1"), "{text}");
    assert_eq!(world.home.audit().iter().filter(|entry| entry["event"] == "exchange").count(), 2, "{text}");
}

#[tokio::test]
async fn a_record_under_the_key_of_another_is_not_opened() {
    let builder = World::builder().name("api.beta.test");
    for name in ["alpha", "beta"] {
        builder.home().define(&Definition::bearer(name, &format!("api.{name}.test")));
        builder.home().login(name, &key_of(name));
    }
    let store = rusqlite::Connection::open(builder.home().path().join("profiles/default/store.db")).unwrap();
    let key = |name: &str| format!("profile:default:{name}:connection:default");
    let read = |name: &str| -> Vec<u8> {
        store.query_row("SELECT value FROM kv WHERE key = ?1", [key(name)], |row| row.get(0)).unwrap()
    };
    let write = |name: &str, value: Vec<u8>| {
        store.execute("UPDATE kv SET value = ?2 WHERE key = ?1", rusqlite::params![key(name), value]).unwrap()
    };
    let (alpha, beta) = (read("alpha"), read("beta"));
    assert_eq!(write("alpha", beta) + write("beta", alpha), 2);
    drop(store);
    let world = builder.logged_in().start().await;
    for version in VERSIONS {
        let answer = world.ask(version, &Ask::get("/")).await;
        assert!(answer.refusal().0 >= 500, "{answer:?}");
    }
    world.origin.expect_no_request();
}
