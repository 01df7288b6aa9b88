//! Rules 3 and 8 for the definitions that the program brings with it: tenants, base URLs, cleared slots, Basic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::{Ask, H2, VERSIONS};
use crate::support::tls;
use crate::support::wire::Hello;
use crate::support::world::World;

const KEY: &str = "key-5ca1ab1e0ddba11c0ffee";

/// A world in which one bundled provider is connected by what `login --stdin` reads, and some names are served.
async fn connected(provider: &str, input: &str, names: &[&str]) -> World {
    let builder = World::empty();
    builder.home().login(provider, input);
    names.iter().fold(builder, |builder, name| builder.name(name)).start().await
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

/// That a host is tunnelled to the server itself, whatever its parent domain.
async fn expect_unread(world: &World, host: &str) {
    let tunnel = format!("{host}:443");
    let own_roots = tls::roots(&world.authority.pem());
    let wire = world.client.tunnel(&tunnel).await.tls(&own_roots, &Hello::to(host, tls::H2)).await.unwrap();
    H2::over(wire).await.ask(&tunnel, &Ask::get("/")).await.expect(200);
    assert!(world.origin.requests().pop().unwrap().values("authorization").is_empty(), "{host}");
}

#[tokio::test]
async fn a_tenant_is_fixed_at_login_and_another_tenant_is_a_stranger() {
    let hosts = ["acme.zendesk.com", "evil.zendesk.com", "zendesk.com"];
    let input = format!("tenant=acme\nemail=agent@acme.test\napi_key={KEY}\n");
    let world = connected("zendesk", &input, &hosts).await;
    for version in VERSIONS {
        world
            .client
            .ask(version, "acme.zendesk.com:443", &Ask::get("/api/v2/users/me.json"))
            .await
            .expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values("authorization"), [basic(&format!("agent@acme.test/token:{KEY}"))]);
    }
    for host in &hosts[1..] {
        expect_unread(&world, host).await;
    }
}

#[tokio::test]
async fn a_base_url_given_at_login_takes_the_place_of_the_vendors() {
    let input = format!("base_url=https://git.acme.test\napi_key={KEY}\n");
    let world = connected("gitlab", &input, &["git.acme.test", "gitlab.com"]).await;
    for version in VERSIONS {
        world.client.ask(version, "git.acme.test:443", &Ask::get("/api/v4/user")).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values("authorization"), [format!("Bearer {KEY}")]);
    }
    expect_unread(&world, "gitlab.com").await;
}

#[tokio::test]
async fn a_key_in_a_place_that_the_definition_clears_never_competes() {
    let host = "generativelanguage.googleapis.com";
    let world = connected("gemini", KEY, &[host]).await;
    for target in
        ["/v1beta/models?key=stranger&alt=sse", "/v1beta/models?alt=sse&%6Bey=authsome-proxy-managed"]
    {
        for version in VERSIONS {
            let ask = Ask::get(target).header("authorization", "Bearer of-a-stranger");
            world.client.ask(version, &format!("{host}:443"), &ask).await.expect(200);
            let seen = world.origin.requests().pop().unwrap();
            assert_eq!(seen.values("x-goog-api-key"), [KEY]);
            assert!(seen.values("authorization").is_empty());
            assert_eq!(seen.uri.query(), Some("alt=sse"), "{target}");
        }
    }
}

#[tokio::test]
async fn basic_credentials_have_the_key_where_the_vendor_wants_it() {
    for (provider, host, path, pair) in [
        ("ashby", "api.ashbyhq.com", "/candidate.list", format!("{KEY}:")),
        ("lemlist", "api.lemlist.com", "/api/team", format!(":{KEY}")),
    ] {
        let world = connected(provider, KEY, &[host]).await;
        let placeholder = basic("authsome-proxy-managed:");
        for version in VERSIONS {
            let ask = Ask::get(path).header("authorization", &placeholder);
            world.client.ask(version, &format!("{host}:443"), &ask).await.expect(200);
            assert_eq!(world.origin.requests().pop().unwrap().values("authorization"), [basic(&pair)]);
        }
    }
}

#[tokio::test]
async fn what_a_definition_excludes_gets_no_credential_in_any_spelling() {
    let key = "hf_5ca1ab1e0ddba11c0ffee";
    let world = connected("huggingface", key, &["huggingface.co"]).await;
    for version in VERSIONS {
        let client = &world.client;
        let ask = async |path: &str| client.ask(version, "huggingface.co:443", &Ask::get(path)).await;
        ask("/api/whoami-v2").await.expect(200);
        assert_eq!(world.origin.requests().pop().unwrap().values("authorization"), [format!("Bearer {key}")]);
        for path in ["/mcp?gradio=owner/space", "/mcp/tools", "//mcp", "/%6dcp/x", "/models/../mcp"] {
            ask(path).await;
            let seen = world.origin.requests();
            assert!(
                seen.iter()
                    .all(|one| one.uri.path() == "/api/whoami-v2" || one.values("authorization").is_empty()),
                "{path}: {seen:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_account_id_beside_the_secret_is_part_of_the_pair() {
    let account = "AC0123456789abcdef0123456789abcdef";
    let input = format!("account_sid={account}\napi_key={KEY}\n");
    let world = connected("twilio", &input, &["api.twilio.com"]).await;
    world.client.ask(VERSIONS[0], "api.twilio.com:443", &Ask::get("/")).await.expect(200);
    let seen = world.origin.only_request();
    assert_eq!(seen.values("authorization"), [basic(&format!("{account}:{KEY}"))]);
}
