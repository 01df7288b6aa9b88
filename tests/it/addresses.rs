//! Rule 1, last part: a CONNECT that carries only an address.

use crate::support::client::Ask;
use crate::support::tls;
use crate::support::wire::Hello;
use crate::support::world::{ALPHA, OTHER, World, alpha_bearer};

/// An address of a network that is kept for documents (RFC 5737).
const SOMEWHERE: &str = "192.0.2.7:443";

#[tokio::test]
async fn an_address_gets_the_name_that_its_client_hello_gives_if_that_is_routed() {
    let builder = World::builder();
    let identity = builder.authority().certify(&["api.alpha.test"]);
    let impostor = crate::support::origin::Origin::start(identity, Default::default()).await;
    let world = builder.found_at(SOMEWHERE, impostor.address).start().await;
    let tunnel = world.client.tunnel(SOMEWHERE).await;
    let hello = Hello::to("api.alpha.test", tls::H1);
    let mut wire = tunnel.tls(&world.client.roots, &hello).await.unwrap();
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    assert_eq!(world.origin.only_request().values("authorization"), [alpha_bearer()]);
    impostor.expect_untouched();
}

#[tokio::test]
async fn an_address_without_a_routed_name_is_dialled_and_the_bytes_are_replayed() {
    let builder = World::builder();
    let identity = builder.authority().certify(&["other.test"]);
    let server = crate::support::origin::Origin::start(identity, Default::default()).await;
    let world = builder.found_at(SOMEWHERE, server.address).start().await;
    let own_roots = tls::roots(&world.authority.pem());
    let tunnel = world.client.tunnel(SOMEWHERE).await;
    let mut wire = tunnel.tls(&own_roots, &Hello::to("other.test", tls::H1)).await.unwrap();
    wire.ask(Ask::get("/").bytes(OTHER)).await.expect(200);
    assert!(server.only_request().values("authorization").is_empty());
    world.origin.expect_untouched();
}

#[tokio::test]
async fn a_loopback_literal_is_never_peeked() {
    let builder = World::builder();
    let identity = builder.authority().certify(&["api.alpha.test"]);
    let server = crate::support::origin::Origin::start(identity, Default::default()).await;
    let world = builder
        .found_at("127.0.0.1:443", server.address)
        .found_at("[::1]:443", server.address)
        .found_at("localhost:443", server.address)
        .start()
        .await;
    let own_roots = tls::roots(&world.authority.pem());
    for authority in ["127.0.0.1:443", "[::1]:443", "localhost:443"] {
        let tunnel = world.client.tunnel(authority).await;
        let hello = Hello::to("api.alpha.test", tls::H1);
        let mut wire = tunnel.tls(&own_roots, &hello).await.unwrap();
        wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    }
    assert!(server.requests().iter().all(|seen| seen.values("authorization").is_empty()));
    world.origin.expect_untouched();
}
