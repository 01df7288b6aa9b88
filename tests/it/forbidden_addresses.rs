//! Rule 15: metadata services and our own listener are never dialled.

use std::net::SocketAddr;

use crate::support::tls;
use crate::support::wire::Hello;
use crate::support::world::World;

#[tokio::test]
async fn a_request_to_our_own_listener_is_refused_and_not_looped() {
    let world = World::new().await;
    let port = world.proxy.address.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"] {
        let (answer, _) = world.client.connect(&format!("{host}:{port}")).await;
        assert_eq!(answer.refusal(), (403, "own-listener"), "{host}");
    }
    let proof = world.client.authorization();
    let head = format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{proof}\r\n");
    assert_eq!(world.client.open().await.ask(head).await.refusal(), (403, "own-listener"));
    world.home.audited("refused", |entry| entry["reason"] == "own-listener").await;
}

#[tokio::test]
async fn a_name_that_leads_to_our_own_listener_is_refused() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let own: SocketAddr = ([127, 0, 0, 1], port).into();
    let world = World::builder().found_at("loop.test:443", own).listen(own).start().await;
    let (answer, _) = world.client.connect("loop.test:443").await;
    assert_eq!(answer.refusal(), (403, "own-listener"));
}

#[tokio::test]
async fn metadata_addresses_are_never_dialled() {
    let world =
        World::builder().found_at("metadata.test:443", ([169, 254, 169, 254], 80).into()).start().await;
    for authority in [
        "169.254.169.254:80",
        "[::ffff:169.254.169.254]:80",
        "[::ffff:a9fe:a9fe]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[fd00:ec2::254]:80",
        "169.254.170.2:80",
        "100.100.100.200:80",
        "metadata.test:443",
    ] {
        let (answer, _) = world.client.connect(authority).await;
        assert_eq!(answer.status.as_u16(), 403, "{authority}");
        assert_eq!(answer.refusal(), (403, "metadata-address"), "{authority}");
    }
    let proof = world.client.authorization();
    let head = format!("GET http://169.254.169.254/latest HTTP/1.1\r\nHost: 169.254.169.254\r\n{proof}\r\n");
    assert_eq!(world.client.open().await.ask(head).await.refusal(), (403, "metadata-address"));
}

#[tokio::test]
async fn a_metadata_address_on_a_routed_port_is_not_dialled_whatever_name_is_said() {
    let world = World::new().await;
    let (answer, wire) = world.client.connect("169.254.169.254:443").await;
    if answer.status.as_u16() == 200 {
        let own_roots = tls::roots(&world.authority.pem());
        assert!(wire.tls(&own_roots, &Hello::to("other.test", tls::H1)).await.is_err());
    }
    world.home.audited("refused", |entry| entry["reason"] == "metadata-address").await;
    world.origin.expect_untouched();
}
