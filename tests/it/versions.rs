//! Rule 20: the exchange speaks the same version of HTTP on both sides.

use http::Version;

use crate::support::client::{Ask, H2};
use crate::support::tls::{BOTH, H1, H2 as ONLY_H2};
use crate::support::wire::Hello;
use crate::support::world::{ALPHA, World};

async fn spoken(server: &'static [&'static str], client: &[&str]) -> (Option<String>, Version) {
    let world = World::builder().origin(|plan| plan.alpn(server)).start().await;
    let wire = world.client.secure(ALPHA, client).await;
    let alpn = wire.alpn.clone();
    match alpn.as_deref() {
        Some("h2") => H2::over(wire).await.ask(ALPHA, &Ask::get("/")).await.expect(200),
        _ => { wire }.ask(Ask::get("/").bytes(ALPHA)).await.expect(200),
    };
    (alpn, world.origin.only_request().version)
}

#[tokio::test]
async fn a_client_of_both_versions_gets_the_servers() {
    assert_eq!(spoken(BOTH, BOTH).await, (Some("h2".into()), Version::HTTP_2));
    assert_eq!(spoken(H1, BOTH).await, (Some("http/1.1".into()), Version::HTTP_11));
    assert_eq!(spoken(ONLY_H2, BOTH).await, (Some("h2".into()), Version::HTTP_2));
}

#[tokio::test]
async fn a_server_of_both_versions_gets_the_clients() {
    assert_eq!(spoken(BOTH, H1).await, (Some("http/1.1".into()), Version::HTTP_11));
    assert_eq!(spoken(BOTH, ONLY_H2).await, (Some("h2".into()), Version::HTTP_2));
}

#[tokio::test]
async fn a_client_or_server_without_alpn_speaks_http_1() {
    assert_eq!(spoken(BOTH, &[]).await, (None, Version::HTTP_11));
    assert_eq!(spoken(&[], BOTH).await.1, Version::HTTP_11);
    assert_eq!(spoken(&[], &[]).await, (None, Version::HTTP_11));
}

#[tokio::test]
async fn what_both_sides_cannot_speak_is_refused_and_not_translated() {
    for (server, client) in [(H1, ONLY_H2), (ONLY_H2, H1)] {
        let world = World::builder().origin(|plan| plan.alpn(server)).start().await;
        let tunnel = world.client.tunnel(ALPHA).await;
        let Ok(mut wire) = tunnel.tls(&world.client.roots, &Hello::to("api.alpha.test", client)).await else {
            continue;
        };
        let answer = match client {
            H1 => wire.ask(Ask::get("/").bytes(ALPHA)).await,
            _ => H2::over(wire).await.ask(ALPHA, &Ask::get("/")).await,
        };
        assert_eq!(answer.refusal().0, 502, "{server:?} {client:?}");
        world.origin.expect_no_request();
    }
}

#[tokio::test]
async fn a_client_of_unknown_protocols_is_refused_by_tls() {
    let world = World::new().await;
    let tunnel = world.client.tunnel(ALPHA).await;
    let hello = Hello::to("api.alpha.test", &["spdy/3"]);
    assert!(tunnel.tls(&world.client.roots, &hello).await.is_err());
    world.origin.expect_no_request();
}

#[tokio::test]
async fn tunnels_of_either_version_to_one_server_live_side_by_side() {
    let world = World::new().await;
    let mut h2 = world.client.h2(ALPHA).await;
    let mut h1 = world.client.h1(ALPHA).await;
    for _ in 0..3 {
        h2.ask(ALPHA, &Ask::get("/")).await.expect(200);
        h1.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    }
    let seen: Vec<_> = world.origin.requests().iter().map(|seen| seen.version).collect();
    assert_eq!(seen, [Version::HTTP_2, Version::HTTP_11].repeat(3));
}
