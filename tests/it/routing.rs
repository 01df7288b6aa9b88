//! Rule 4 and the routing contract: which connection a request gets.

use http::Version;
use serde_json::json;

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::{Definition, key_of};
use crate::support::world::{ALPHA, World, alpha_bearer};

fn bearer(provider: &str) -> Vec<String> {
    vec![format!("Bearer {}", key_of(provider))]
}

#[tokio::test]
async fn the_longest_path_prefix_wins_then_exact_then_glob_then_regex() {
    let regex =
        Definition::bearer("delta", "regex:^[a-z]+\\.alpha\\.test$").with("domains", json!(["alpha.test"]));
    let world = World::builder()
        .provider(Definition::bearer("beta", "https://api.alpha.test/v2"))
        .provider(Definition::bearer("gamma", "*.alpha.test"))
        .provider(regex)
        .name("www.alpha.test")
        .start()
        .await;
    for (tunnel, path, provider) in [
        (ALPHA, "/v1/x", "alpha"),
        (ALPHA, "/v2", "beta"),
        (ALPHA, "/v2/x", "beta"),
        (ALPHA, "/v20", "alpha"),
        ("www.alpha.test:443", "/v2/x", "gamma"),
    ] {
        for version in VERSIONS {
            world.client.ask(version, tunnel, &Ask::get(path)).await.expect(200);
            let seen = world.origin.requests().pop().unwrap();
            assert_eq!(seen.values("authorization"), bearer(provider), "{tunnel}{path}");
        }
    }
}

#[tokio::test]
async fn two_equally_specific_routes_inject_nothing() {
    let world = World::builder().provider(Definition::bearer("beta", "api.alpha.test")).start().await;
    let ask = Ask::get("/").header("authorization", "Bearer of-my-own");
    for version in VERSIONS {
        world.ask(version, &ask).await.expect(200);
    }
    for seen in world.origin.requests() {
        assert_eq!(seen.values("authorization"), ["Bearer of-my-own"]);
    }
}

#[tokio::test]
async fn a_placeholder_on_an_ambiguous_route_is_refused_403_and_names_the_providers() {
    let world = World::builder().provider(Definition::bearer("beta", "api.alpha.test")).start().await;
    let ask = Ask::get("/").header("authorization", "Bearer authsome-proxy-managed");
    for version in VERSIONS {
        let answer = world.ask(version, &ask).await;
        assert_eq!(answer.refusal(), (403, "ambiguous-route"));
        assert!(answer.text().contains("alpha") && answer.text().contains("beta"), "{}", answer.text());
    }
    world.origin.expect_no_request();
}

#[tokio::test]
async fn a_path_without_a_route_goes_on_without_a_credential() {
    let world =
        World::empty().provider(Definition::bearer("alpha", "https://api.alpha.test/v1")).start().await;
    let ask = Ask::get("/v2").header("authorization", "Bearer of-my-own");
    for version in VERSIONS {
        world.ask(version, &ask).await.expect(200);
        assert_eq!(world.origin.requests().pop().unwrap().values("authorization"), ["Bearer of-my-own"]);
    }
}

#[tokio::test]
async fn a_placeholder_on_a_path_without_a_route_is_refused_403() {
    let world =
        World::empty().provider(Definition::bearer("alpha", "https://api.alpha.test/v1")).start().await;
    let ask = Ask::get("/v2").header("authorization", "Bearer authsome-proxy-managed");
    for version in VERSIONS {
        let answer = world.ask(version, &ask).await;
        assert_eq!(answer.refusal(), (403, "no-route-for-path"));
        assert!(answer.text().contains("alpha"), "{}", answer.text());
    }
    world.origin.expect_no_request();
}

#[tokio::test]
async fn a_provider_without_a_connection_has_no_route() {
    let world = World::builder().start().await;
    world.home.define(&Definition::bearer("beta", "https://api.alpha.test/v2"));
    world.ask(Version::HTTP_11, &Ask::get("/v2/x")).await.expect(200);
    assert_eq!(world.origin.only_request().values("authorization"), [alpha_bearer()]);
}

#[tokio::test]
async fn loopback_names_are_never_injected() {
    let definition = Definition::bearer("alpha", "api.localhost");
    let home = crate::support::home::Home::new();
    home.define(&definition);
    let login = home.run_with(&["login", "alpha", "--stdin"], "key");
    assert!(!login.status.success(), "a key was stored for a loopback name");
}
