//! Rules 1 and 3: what no route names passes unread; the port is part of the name.

use http::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::{Ask, H2};
use crate::support::scripted::Scripted;
use crate::support::tls;
use crate::support::wire::Hello;
use crate::support::world::{OTHER, World};

#[tokio::test]
async fn a_host_that_nobody_claims_is_tunnelled_unread() {
    let world = World::new().await;
    let own_roots = tls::roots(&world.authority.pem());
    let ask = Ask::get("/").header("authorization", "Bearer of-my-own");
    for alpn in [tls::H1, tls::H2] {
        let tunnel = world.client.tunnel(OTHER).await;
        let wire = tunnel.tls(&own_roots, &Hello::to("other.test", alpn)).await.unwrap();
        match alpn {
            tls::H2 => H2::over(wire).await.ask(OTHER, &ask).await.expect(200),
            _ => { wire }.ask(ask.bytes(OTHER)).await.expect(200),
        };
    }
    let requests = world.origin.requests();
    assert_eq!(
        requests.iter().map(|seen| seen.version).collect::<Vec<_>>(),
        [Version::HTTP_11, Version::HTTP_2]
    );
    assert!(requests.iter().all(|seen| seen.values("authorization") == ["Bearer of-my-own"]));
}

#[tokio::test]
async fn another_port_of_a_routed_host_is_another_origin() {
    let builder = World::builder();
    let identity = builder.authority().certify(&["api.alpha.test"]);
    let elsewhere = crate::support::origin::Origin::start(identity, Default::default()).await;
    let world = builder.found_at("api.alpha.test:8443", elsewhere.address).start().await;
    let tunnel = world.client.tunnel("api.alpha.test:8443").await;
    let own_roots = tls::roots(&world.authority.pem());
    let mut wire = tunnel.tls(&own_roots, &Hello::to("api.alpha.test", tls::H1)).await.unwrap();
    wire.ask(Ask::get("/").bytes("api.alpha.test:8443")).await.expect(200);
    assert!(elsewhere.only_request().values("authorization").is_empty());
    world.origin.expect_untouched();
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard_and_half_closing_passes_through() {
    let server = Scripted::tcp(|_, mut socket| async move {
        socket.write_all(b"220 ready\r\n").await.unwrap();
        let mut question = Vec::new();
        socket.read_to_end(&mut question).await.unwrap();
        question.reverse();
        socket.write_all(&question).await.unwrap();
    })
    .await;
    let world = World::builder().found_at("mail.test:25", server.address).start().await;
    let mut wire = world.client.tunnel("mail.test:25").await;
    assert_eq!(wire.until("\r\n").await, b"220 ready\r\n");
    wire.send("abc").await;
    wire.finish().await;
    assert_eq!(wire.rest().await, b"cba");
}

#[tokio::test]
async fn a_tunnel_whose_server_cannot_be_reached_is_refused_502() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::builder().found_at("other.test:443", closed).start().await;
    let (answer, _) = world.client.connect(OTHER).await;
    assert_eq!(answer.refusal(), (502, "upstream-unreachable"));
}
