//! Rule 11: paths are matched on a canonical form and forwarded byte for byte.

use serde_json::json;

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::Definition;
use crate::support::world::{World, alpha_bearer};

/// Asks in both versions; what arrived must have the path as it was sent. Tells whether it was injected.
async fn injected(world: &World, target: &str) -> bool {
    let mut injections = Vec::new();
    for version in VERSIONS {
        let before = world.origin.requests().len();
        let answer = world.ask(version, &Ask::get(target)).await;
        let requests = world.origin.requests();
        let Some(seen) = requests.get(before) else {
            assert!(answer.status.is_client_error(), "{target}: {answer:?}");
            injections.push(false);
            continue;
        };
        let forwarded = seen.uri.path_and_query().unwrap().as_str();
        assert_eq!(forwarded, target, "{version:?}");
        let values = seen.values("authorization");
        assert!(values.is_empty() || values == [alpha_bearer()], "{target}: {values:?}");
        injections.push(!values.is_empty());
    }
    assert_eq!(injections[0], injections[1], "{target} differs between versions");
    injections[0]
}

#[tokio::test]
async fn a_path_prefix_covers_whole_segments_below_it() {
    let world =
        World::empty().provider(Definition::bearer("alpha", "https://api.alpha.test/v1")).start().await;
    for target in
        ["/v1", "/v1/", "/v1/models", "/v1/models?x=/../..", "/v1?x=%2e%2e", "/v1/a%20b", "/v1/%7Euser/"]
    {
        assert!(injected(&world, target).await, "{target} is in scope");
    }
    for target in ["/", "/v10", "/v", "/v2/v1", "/v1x/models", "/?/v1/"] {
        assert!(!injected(&world, target).await, "{target} is out of scope");
    }
}

#[tokio::test]
async fn what_can_be_read_two_ways_never_widens_a_match() {
    let world =
        World::empty().provider(Definition::bearer("alpha", "https://api.alpha.test/v1")).start().await;
    for target in [
        "/v1/../v2",
        "/v1/..",
        "/v1/%2e%2e/v2",
        "/v1/%2E%2e/v2",
        "/v1/.%2e/v2",
        "/v1/a/../../v2",
        "/v1/..%2fv2",
        "/v1%2f..%2fv2",
        "/v1%2Fmodels",
        "/v1%5cmodels",
        "/v1/..%5cv2",
        "/v1/..\\v2",
        "/v1\\models",
        "/v1/..;/v2",
        "/v1;x=y/models",
        "/v1/..;x=y/v2",
        "/%2fv1/models",
        "//v1/models",
        "//other.test/v1",
        "/V1/models",
        "/%2e/v1x",
        "/v1%00/models",
        "/v1%252f..%252fv2",
    ] {
        assert!(!injected(&world, target).await, "{target} was injected");
    }
}

#[tokio::test]
async fn an_auth_endpoint_gets_no_credential_however_it_is_spelled() {
    let oauth = json!({
        "authorization_url": "https://api.alpha.test/oauth/authorize",
        "token_url": "https://api.alpha.test/oauth/token",
        "scopes": [],
        "pkce": true,
    });
    let definition = Definition::bearer("alpha", "api.alpha.test").with("oauth", oauth);
    let world = World::empty().provider(definition).start().await;
    assert!(injected(&world, "/oauth/other").await);
    for target in [
        "/oauth/token",
        "/oauth/token?grant_type=x",
        "/oauth/token/",
        "//oauth/token",
        "/oauth//token",
        "/oauth/./token",
        "/oauth/x/../token",
        "/oauth/%74oken",
        "/oauth%2ftoken",
        "/OAUTH/token",
        "/oauth/token;x",
        "/oauth\\token",
        "/oauth/authorize",
    ] {
        assert!(!injected(&world, target).await, "{target} was injected");
    }
}
