//! Rule 23: over a limit the one offender is refused, and the rest is served.

use http::Version;

use crate::support::client::Ask;
use crate::support::frames;
use crate::support::tls;
use crate::support::world::{ALPHA, World};

#[tokio::test]
async fn a_head_with_too_many_fields_is_refused_431() {
    let world = World::new().await;
    let mut ask = Ask::get("/");
    for number in 0..300 {
        ask = ask.header(&format!("x-{number}"), "1");
    }
    let answer = world.client.h1(ALPHA).await.ask(ask.bytes(ALPHA)).await;
    assert_eq!(answer.status.as_u16(), 431);
    world.origin.expect_no_request();
    world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_431() {
    let world = World::new().await;
    let ask = Ask::get("/").header("x-large", &"v".repeat(300_000));
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(ask.bytes(ALPHA)).await;
    assert_eq!(wire.head().await.status.as_u16(), 431);
    let mut h2 = world.client.h2(ALPHA).await;
    let request = http::Request::get("https://api.alpha.test/").header("x-large", "v".repeat(300_000));
    let refused = h2.send(request.body(crate::support::streams::empty()).unwrap()).await;
    assert!(refused.is_err() || refused.unwrap().status().as_u16() == 431);
    world.origin.expect_no_request();
    world.ask(Version::HTTP_2, &Ask::get("/")).await.expect(200);
}

#[tokio::test]
async fn a_connect_head_that_is_too_large_is_refused_431() {
    let world = World::new().await;
    let mut wire = world.client.open().await;
    let head =
        format!("CONNECT {ALPHA} HTTP/1.1\r\nHost: {ALPHA}\r\nX-Large: {}\r\n\r\n", "v".repeat(300_000));
    wire.send(head).await;
    assert_eq!(wire.head().await.status.as_u16(), 431);
    world.client.tunnel(ALPHA).await;
}

#[tokio::test]
async fn headers_of_a_usual_size_pass() {
    let world = World::new().await;
    let mut ask = Ask::get("/").header("cookie", &"c".repeat(16_000));
    for number in 0..80 {
        ask = ask.header(&format!("x-{number}"), "1");
    }
    for version in [Version::HTTP_11, Version::HTTP_2] {
        world.ask(version, &ask).await.expect(200);
    }
}

/// The fields of a good request.
const GOOD: [(&str, &[u8]); 4] =
    [(":method", b"GET"), (":scheme", b"https"), (":authority", b"api.alpha.test"), (":path", b"/")];

/// Sends a flood; the connection must be ended by GOAWAY or closing, and another one be served meanwhile.
async fn expect_flood_ended(flood: Vec<u8>) {
    let world = World::new().await;
    let resident = world.proxy.resident();
    let mut wire = world.client.secure(ALPHA, tls::H2).await;
    wire.send(frames::opening()).await;
    wire.send(flood).await;
    wire.rest().await;
    world.ask(Version::HTTP_2, &Ask::get("/")).await.expect(200);
    let grown = world.proxy.resident().saturating_sub(resident);
    assert!(grown < 20 * 1024, "memory grew by {grown} KiB");
}

#[tokio::test]
async fn a_flood_of_resets_ends_its_connection_only() {
    let mut flood = Vec::new();
    for number in 0..20_000 {
        let stream = 2 * number + 1;
        flood.extend(frames::request(stream, &GOOD));
        flood.extend(frames::frame(frames::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    expect_flood_ended(flood).await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_its_connection_only() {
    let mut flood = frames::frame(frames::HEADERS, frames::END_STREAM, 1, &frames::block(&GOOD));
    let more = frames::block(&[("x-more", [b'v'; 10_000].as_slice())]);
    for _ in 0..2_000 {
        flood.extend(frames::frame(frames::CONTINUATION, 0, 1, &more));
    }
    expect_flood_ended(flood).await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_and_the_connection_lives() {
    let (sender, mut started) = tokio::sync::mpsc::unbounded_channel();
    let world = World::builder()
        .origin(|plan| {
            plan.handler(move |_| {
                let _ = sender.send(());
                std::future::pending()
            })
        })
        .start()
        .await;
    let mut wire = world.client.secure(ALPHA, tls::H2).await;
    wire.send(frames::opening()).await;
    for number in 0..200 {
        wire.send(frames::request(2 * number + 1, &GOOD)).await;
    }
    let refused = frames::verdict(&mut wire).await;
    assert_eq!(refused.kind, frames::RST_STREAM, "{refused:?}");
    crate::support::soon("a request upstream", started.recv()).await.unwrap();
    let mut at_once = 1;
    while started.try_recv().is_ok() {
        at_once += 1;
    }
    assert!(at_once <= 256, "{at_once} streams at once");
}

#[tokio::test]
async fn a_server_that_allows_few_streams_is_not_asked_for_more() {
    let world = World::builder().origin(|plan| plan.concurrent_streams(2)).start().await;
    let h2 = world.client.h2(ALPHA).await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let mut h2 = h2.clone();
            tokio::spawn(async move { h2.ask(ALPHA, &Ask::get("/")).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().expect(200);
    }
    assert_eq!(world.origin.requests().len(), 20);
}

#[tokio::test]
async fn a_client_hello_in_single_bytes_is_understood() {
    let world = World::new().await;
    let tunnel = world.client.tunnel(ALPHA).await;
    let slow = crate::support::wire::Wire::new(crate::support::slow::ByteByByte(tunnel.into_stream()));
    let hello = crate::support::wire::Hello::to("api.alpha.test", tls::H1);
    let mut wire = slow.tls(&world.client.roots, &hello).await.unwrap();
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
}
