//! Rule 8: only the declared slot carries the secret, and a placeholder never leaves.

use base64::Engine as _;
use http::{Method, Version};

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::{Definition, key_of};
use crate::support::world::{ALPHA, World, alpha_bearer};

const PLACEHOLDER: &str = "authsome-proxy-managed";

#[tokio::test]
async fn the_clients_own_value_is_removed_in_any_case_and_number() {
    let world = World::new().await;
    for names in [vec!["Authorization"], vec!["AUTHORIZATION"], vec!["authorization", "aUTHORIZATION"]] {
        let mut ask = Ask::get("/");
        for name in &names {
            ask = ask.header(name, "Bearer of-a-stranger");
        }
        for version in VERSIONS {
            world.ask(version, &ask).await.expect(200);
            let seen = world.origin.requests().pop().unwrap();
            assert_eq!(seen.values("authorization"), [alpha_bearer()], "{names:?}");
        }
    }
}

#[tokio::test]
async fn replacing_a_value_that_was_no_placeholder_is_noted_in_the_audit() {
    let world = World::new().await;
    world
        .ask(Version::HTTP_11, &Ask::get("/").header("authorization", "Bearer of-a-stranger"))
        .await
        .expect(200);
    world.home.audited("exchange", |entry| entry.to_string().contains("foreign")).await;
}

#[tokio::test]
async fn the_placeholder_in_its_slot_is_replaced_and_no_other_header_changes() {
    let world = World::new().await;
    let ask = Ask::get("/").header("authorization", &format!("Bearer {PLACEHOLDER}"));
    let ask = ask.header("x-api-key", "mine").header("cookie", "a=b").header("user-agent", "agent/1");
    for version in VERSIONS {
        world.ask(version, &ask).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values("authorization"), [alpha_bearer()]);
        assert_eq!(seen.values("x-api-key"), ["mine"]);
        assert_eq!(seen.values("cookie"), ["a=b"]);
        assert_eq!(seen.values("user-agent"), ["agent/1"]);
        let names: Vec<_> = seen.headers.keys().map(http::HeaderName::as_str).collect();
        let mut expected = vec!["authorization", "x-api-key", "cookie", "user-agent"];
        expected.extend((version == Version::HTTP_11).then_some("host"));
        assert!(names.iter().all(|name| expected.contains(name)), "{names:?}");
    }
}

#[tokio::test]
async fn another_slot_than_authorization_leaves_authorization_alone() {
    let world = World::empty().provider(Definition::header("alpha", "api.alpha.test")).start().await;
    let ask = Ask::get("/").header("authorization", "Bearer of-my-own").header("X-API-KEY", "stranger");
    for version in VERSIONS {
        world.ask(version, &ask).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values("x-api-key"), [key_of("alpha")]);
        assert_eq!(seen.values("authorization"), ["Bearer of-my-own"]);
    }
}

#[tokio::test]
async fn a_placeholder_outside_its_slot_is_refused_403() {
    let world = World::new().await;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("user:{PLACEHOLDER}"));
    let percent = "authsome%2Dproxy%2dmanaged";
    for ask in [
        Ask::get("/").header("x-other", PLACEHOLDER),
        Ask::get("/").header("cookie", &format!("session={PLACEHOLDER}; a=b")),
        Ask::get("/").header("x-other", &format!("Basic {basic}")),
        Ask::get("/").header("x-other", percent),
        Ask::get(&format!("/?key={PLACEHOLDER}")),
        Ask::get(&format!("/?key={percent}")),
        Ask::get(&format!("/{PLACEHOLDER}/x")),
        Ask::get("/").header("authorization", "Bearer x").header("proxy-hint", PLACEHOLDER),
    ] {
        for version in VERSIONS {
            let answer = world.ask(version, &ask).await;
            assert_eq!(answer.refusal(), (403, "placeholder-misplaced"), "{version:?} {ask:?}");
        }
    }
    world.origin.expect_no_request();
}

#[tokio::test]
async fn a_placeholder_in_a_body_is_no_secret_and_passes() {
    let world = World::new().await;
    for version in VERSIONS {
        let ask = Ask::new(Method::POST, "/").body(PLACEHOLDER);
        world.ask(version, &ask).await.expect(200);
        assert_eq!(world.origin.requests().pop().unwrap().body.unwrap(), PLACEHOLDER);
    }
}

#[tokio::test]
async fn what_a_web_page_started_is_never_injected() {
    let world = World::new().await;
    for (site, injected) in
        [("cross-site", false), ("same-site", false), ("none", true), ("same-origin", true)]
    {
        for version in VERSIONS {
            let ask =
                Ask::get("/").header("sec-fetch-site", site).header("authorization", "Bearer of-the-page");
            world.ask(version, &ask).await.expect(200);
            let expected = if injected { alpha_bearer() } else { "Bearer of-the-page".to_owned() };
            let seen = world.origin.requests().pop().unwrap();
            assert_eq!(seen.values("authorization"), [expected], "{site}");
        }
    }
}

#[tokio::test]
async fn a_placeholder_in_what_a_web_page_started_never_leaves() {
    let world = World::new().await;
    let ask = Ask::get("/").header("sec-fetch-site", "cross-site");
    let ask = ask.header("authorization", &format!("Bearer {PLACEHOLDER}"));
    for version in VERSIONS {
        assert_eq!(world.ask(version, &ask).await.refusal().0, 403);
    }
    world.origin.expect_no_request();
}

#[tokio::test]
async fn trace_and_connect_inside_a_tunnel_are_refused_405() {
    let world = World::new().await;
    for version in VERSIONS {
        let answer = world.ask(version, &Ask::new(Method::TRACE, "/")).await;
        assert_eq!(answer.refusal(), (405, "method-not-allowed"));
    }
    let mut wire = world.client.h1(ALPHA).await;
    wire.send("CONNECT api.alpha.test:443 HTTP/1.1\r\nHost: api.alpha.test:443\r\n\r\n").await;
    assert_eq!(wire.head().await.status.as_u16(), 405);
    world.origin.expect_no_request();
}
