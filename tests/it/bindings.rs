//! Rule 3: a key goes only where the definition allowed it when the key was stored.

use serde_json::json;

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::{Definition, key_of};
use crate::support::tls;
use crate::support::world::{ALPHA, World};

const EVIL: &str = "evil.test:443";

#[tokio::test]
async fn an_edited_definition_cannot_take_a_stored_key_to_another_host() {
    let edited = Definition::bearer("alpha", "evil.test");
    let world = World::builder().name("evil.test").edited(edited).start().await;
    for version in VERSIONS {
        let answer = world.client.ask(version, EVIL, &Ask::get("/")).await;
        assert_eq!(answer.refusal(), (502, "binding-changed"));
        assert!(answer.text().contains("--rebind"), "{}", answer.text());
    }
    world.origin.expect_no_request();
    world.home.audited("refused", |entry| entry["reason"] == "binding-changed").await;
}

#[tokio::test]
async fn an_edited_definition_cannot_take_a_stored_key_to_another_slot() {
    let edited = Definition::header("alpha", "api.alpha.test");
    let world = World::builder().edited(edited).start().await;
    let answer = world.ask(VERSIONS[0], &Ask::get("/")).await;
    assert_eq!(answer.refusal(), (502, "binding-changed"));
    world.origin.expect_no_request();
}

#[tokio::test]
async fn a_definition_edited_under_a_running_proxy_cannot_widen_the_paths_of_a_stored_key() {
    let world =
        World::empty().provider(Definition::bearer("alpha", "https://api.alpha.test/v1")).start().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.ask(Ask::get("/v1/x").bytes(ALPHA)).await.expect(200);
    world.home.define(&Definition::bearer("alpha", "https://api.alpha.test/v2"));
    crate::support::soon("the edit to be seen", async {
        while wire.ask(Ask::get("/v2/x").bytes(ALPHA)).await.header("authsome-error") != "binding-changed" {}
    })
    .await;
    let key = key_of("alpha");
    for seen in world.origin.requests() {
        let carries_key = seen.values("authorization").iter().any(|value| value.contains(&key));
        assert!(!carries_key || seen.uri.path() == "/v1/x", "{seen:?}");
    }
}

#[tokio::test]
async fn a_wildcard_over_a_public_suffix_is_no_route() {
    let glob = Definition::bearer("greedy", "*.com");
    let open = Definition::bearer("open", "regex:.*test");
    let world = World::builder().name("x.com").start().await;
    for definition in [glob, open] {
        world.home.define(&definition);
        let login = world.home.run_with(&["login", definition.name(), "--stdin"], "key");
        assert!(!login.status.success(), "{definition:?}");
    }
    let tunnel = world.client.tunnel("x.com:443").await;
    let hello = crate::support::wire::Hello::to("x.com", tls::H1);
    tunnel.tls(&tls::roots(&world.authority.pem()), &hello).await.unwrap();
}

#[tokio::test]
async fn hosts_match_as_a_whole_and_label_by_label() {
    let glob = Definition::bearer("globbed", "*.glob.test");
    let regex =
        Definition::bearer("matched", "regex:^r[0-9]\\.regex\\.test$").with("domains", json!(["regex.test"]));
    let mut builder = World::empty().provider(glob).provider(regex);
    let routed = ["a.glob.test", "r1.regex.test"];
    let foreign = [
        "glob.test",
        "a.b.glob.test",
        "aglob.test",
        "r1.regex.test.evil.test",
        "xr1.regex.test",
        "r12.regex.test",
    ];
    for name in routed.iter().chain(&foreign) {
        builder = builder.name(name);
    }
    let world = builder.start().await;
    let own_roots = tls::roots(&world.authority.pem());
    for name in routed {
        let answer = world.client.ask(VERSIONS[0], &format!("{name}:443"), &Ask::get("/")).await;
        answer.expect(200);
        assert_eq!(world.origin.requests().last().unwrap().values("authorization").len(), 1, "{name}");
    }
    for name in foreign {
        let tunnel = world.client.tunnel(&format!("{name}:443")).await;
        let hello = crate::support::wire::Hello::to(name, tls::H1);
        assert!(tunnel.tls(&own_roots, &hello).await.is_ok(), "{name} was not passed through");
    }
}
