//! Rule 18: rules are read again at each request.

use crate::support::client::{Ask, H2, VERSIONS};
use crate::support::definition::{Definition, key_of};
use crate::support::tls;
use crate::support::wire::Hello;
use crate::support::world::{ALPHA, World, alpha_bearer};

#[tokio::test]
async fn a_logout_takes_effect_on_the_next_request_of_an_open_tunnel() {
    let world = World::new().await;
    let (mut h1, mut h2) = (world.client.h1(ALPHA).await, world.client.h2(ALPHA).await);
    h1.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    h2.ask(ALPHA, &Ask::get("/")).await.expect(200);
    world.home.ok(&["logout", "alpha"]);
    let answer = h2.ask(ALPHA, &Ask::get("/")).await;
    assert_eq!(answer.refusal(), (401, "not-connected"));
    assert!(answer.text().contains("authsome login alpha"), "{}", answer.text());
    let answer = h1.ask(Ask::get("/").bytes(ALPHA)).await;
    assert_eq!(answer.refusal(), (401, "not-connected"));
    assert_eq!(world.origin.requests().len(), 2);
}

#[tokio::test]
async fn a_new_key_is_used_from_the_next_request_of_an_open_tunnel() {
    let world = World::new().await;
    let (mut h1, mut h2) = (world.client.h1(ALPHA).await, world.client.h2(ALPHA).await);
    for round in 0..3 {
        let key = if round == 0 { key_of("alpha") } else { format!("rotated-{round}") };
        if round > 0 {
            world.home.login_with(&["login", "alpha", "--stdin", "--force"], &key);
        }
        h1.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
        h2.ask(ALPHA, &Ask::get("/")).await.expect(200);
        for seen in &world.origin.requests()[2 * round..] {
            assert_eq!(seen.values("authorization"), [format!("Bearer {key}")]);
        }
    }
}

#[tokio::test]
async fn a_login_after_a_logout_serves_the_open_tunnel_again() {
    let world = World::new().await;
    let mut h1 = world.client.h1(ALPHA).await;
    world.home.ok(&["logout", "alpha"]);
    assert_eq!(h1.ask(Ask::get("/").bytes(ALPHA)).await.refusal().0, 401);
    world.home.login("alpha", &key_of("alpha"));
    h1.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    assert_eq!(world.origin.only_request().values("authorization"), [alpha_bearer()]);
}

#[tokio::test]
async fn a_login_takes_effect_on_the_next_tunnel_of_a_host_that_was_passed_through() {
    let builder = World::builder().name("api.beta.test");
    builder.home().define(&Definition::bearer("beta", "api.beta.test"));
    let world = builder.start().await;
    let tunnel = "api.beta.test:443";
    let own_roots = tls::roots(&world.authority.pem());
    let open = world.client.tunnel(tunnel).await;
    let open = open.tls(&own_roots, &Hello::to("api.beta.test", tls::H2)).await.unwrap();
    let mut open = H2::over(open).await;
    open.ask(tunnel, &Ask::get("/before")).await.expect(200);
    world.home.login("beta", &key_of("beta"));
    open.ask(tunnel, &Ask::get("/same-tunnel")).await.expect(200);
    for version in VERSIONS {
        world.client.ask(version, tunnel, &Ask::get("/next-tunnel")).await.expect(200);
    }
    for seen in world.origin.requests() {
        assert_eq!(
            seen.values("authorization").is_empty(),
            seen.uri.path() != "/next-tunnel",
            "{}",
            seen.uri
        );
    }
}

#[tokio::test]
async fn a_host_that_the_ca_does_not_cover_is_refused_at_the_connect() {
    let world = World::builder().name("api.late.test").start().await;
    world.home.define(&Definition::bearer("late", "api.late.test"));
    world.home.login("late", &key_of("late"));
    let (answer, _) = world.client.connect("api.late.test:443").await;
    assert_eq!(answer.refusal(), (502, "outside-run-ca"));
    world.origin.expect_untouched();
}
