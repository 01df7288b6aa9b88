//! Rule 23: time limits. These tests wait for the real deadlines, so they run with `--ignored` only.

use std::time::{Duration, Instant};

use http::Version;
use tokio::io::AsyncReadExt;

use crate::support::client::Ask;
use crate::support::scripted::Scripted;
use crate::support::wire::Wire;
use crate::support::world::{ALPHA, World};

/// Waits until the proxy hangs up, longer than any other test would.
async fn hung_up(wire: Wire) -> Duration {
    let begun = Instant::now();
    let mut stream = wire.into_stream();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(40), stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "still open after {:?}", begun.elapsed());
    begun.elapsed()
}

#[tokio::test]
async fn a_client_that_says_nothing_in_its_tunnel_is_hung_up_on() {
    let world = World::new().await;
    let silent = world.client.tunnel(ALPHA).await;
    let mut begun = world.client.tunnel(ALPHA).await;
    begun.send(b"\x16\x03\x01\x02\x00\x01\x00").await;
    let (silent, begun) = tokio::join!(hung_up(silent), hung_up(begun));
    assert!(silent < Duration::from_secs(15) && begun < Duration::from_secs(15), "{silent:?} {begun:?}");
    world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
}

#[tokio::test]
async fn a_head_that_never_ends_is_hung_up_on() {
    let world = World::new().await;
    let mut outside = world.client.open().await;
    outside.send("CONNECT api.alpha.test:443 HTTP/1.1\r\nHost: api.al").await;
    let mut inside = world.client.h1(ALPHA).await;
    inside.send("GET / HTTP/1.1\r\nHost: api.al").await;
    let (outside, inside) = tokio::join!(hung_up(outside), hung_up(inside));
    assert!(outside < Duration::from_secs(35) && inside < Duration::from_secs(35), "{outside:?} {inside:?}");
    world.origin.expect_no_request();
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_504() {
    let server = Scripted::tcp(|_, mut socket| async move {
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let world = World::builder().found_at(ALPHA, server.address).start().await;
    let tunnel = world.client.tunnel(ALPHA).await;
    let config = crate::support::tls::client(&world.client.roots, crate::support::tls::H1, true);
    let name = rustls::pki_types::ServerName::try_from("api.alpha.test").unwrap();
    let connecting = tokio_rustls::TlsConnector::from(config).connect(name, tunnel.into_stream());
    let stream = tokio::time::timeout(Duration::from_secs(20), connecting).await.unwrap().unwrap();
    let mut wire = Wire::new(stream);
    wire.send(Ask::get("/").bytes(ALPHA)).await;
    let (mut answer, begun) = (None, Instant::now());
    while answer.is_none() && begun.elapsed() < Duration::from_secs(20) {
        answer = tokio::time::timeout(Duration::from_secs(9), wire.head()).await.ok();
    }
    let answer = answer.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.header("authsome-error")), (504, "upstream-timeout"));
}
