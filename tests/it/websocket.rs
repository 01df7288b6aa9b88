//! Rule 21: WebSocket switches protocols, nothing else does.

use http::Version;

use crate::support::client::Ask;
use crate::support::scripted::Scripted;
use crate::support::tls;
use crate::support::wire::Wire;
use crate::support::world::{ALPHA, World, alpha_bearer};

fn upgrade(path: &str) -> Ask {
    Ask::get(path)
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Protocol", "chat, superchat")
        .header("Sec-WebSocket-Extensions", "permessage-deflate")
}

/// A world whose server runs a script on each connection.
async fn scripted<F, R>(script: F) -> World
where
    F: Fn(usize, Wire) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let builder = World::builder();
    let server = Scripted::tls(builder.authority().certify(&["api.alpha.test"]), tls::H1, script).await;
    builder.found_at(ALPHA, server.address).start().await
}

#[tokio::test]
async fn a_websocket_is_switched_with_its_credential_and_copied_both_ways() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let world = scripted(move |_, mut wire| {
        let sender = sender.clone();
        async move {
            sender.send(String::from_utf8(wire.until("\r\n\r\n").await).unwrap()).unwrap();
            let accept =
                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n";
            // The first frame comes in the same segment as the head.
            let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
            wire.send(format!("{switch}{accept}\r\n\u{1}\u{2}first")).await;
            let question = wire.exactly(8).await;
            wire.send(question.iter().rev().copied().collect::<Vec<_>>()).await;
            wire.expect_end().await;
        }
    })
    .await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(upgrade("/socket").bytes(ALPHA)).await;
    let head = wire.head().await;
    assert_eq!(head.status.as_u16(), 101);
    assert_eq!(head.header("upgrade"), "websocket");
    assert_eq!(head.header("sec-websocket-protocol"), "chat");
    assert_eq!(head.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(wire.exactly(7).await, b"\x01\x02first");
    wire.send("12345678").await;
    assert_eq!(wire.exactly(8).await, b"87654321");
    wire.finish().await;
    wire.expect_end().await;

    let seen = heads.recv().await.unwrap().to_lowercase();
    assert!(seen.contains(&format!("authorization: {}\r\n", alpha_bearer()).to_lowercase()), "{seen}");
    for field in ["upgrade: websocket", "sec-websocket-protocol: chat, superchat", "permessage-deflate"] {
        assert!(seen.contains(field), "{seen}");
    }
}

#[tokio::test]
async fn an_upgrade_that_the_server_declines_stays_http() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let world = scripted(move |_, mut wire| {
        let sender = sender.clone();
        async move {
            wire.until("\r\n\r\n").await;
            wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
            sender.send(String::from_utf8(wire.until("\r\n\r\n").await).unwrap()).unwrap();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes").await;
            wire.rest().await;
        }
    })
    .await;
    let mut wire = world.client.h1(ALPHA).await;
    let pipelined = Ask::get("/next").header("authorization", "Bearer x").header("x-mark", "1");
    wire.send([upgrade("/").bytes(ALPHA), pipelined.bytes(ALPHA)].concat()).await;
    assert_eq!(wire.answer().await.expect(403).text(), "no");
    assert_eq!(wire.answer().await.expect(200).text(), "yes");
    let seen = heads.recv().await.unwrap().to_lowercase();
    assert!(seen.starts_with("get /next http/1.1\r\n"), "{seen}");
    assert_eq!(seen.matches("authorization:").count(), 1, "{seen}");
    assert!(seen.contains(&alpha_bearer().to_lowercase()), "{seen}");
}

#[tokio::test]
async fn an_upgrade_to_another_host_is_refused() {
    let world = World::new().await;
    let answer = world.ask(Version::HTTP_11, &upgrade("/").authority("other.test")).await;
    assert_eq!(answer.refusal(), (421, "misdirected"));
    world.origin.expect_untouched();
}

#[tokio::test]
async fn upgrades_to_anything_else_are_taken_out() {
    let world = World::new().await;
    for protocol in ["h2c", "TLS/1.2", "spdy/3", "h2c, websocket2"] {
        let ask = Ask::get("/").header("Connection", "Upgrade, HTTP2-Settings").header("Upgrade", protocol);
        world.ask(Version::HTTP_11, &ask.header("HTTP2-Settings", "AAMAAABkAAQAAP__")).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        for name in ["upgrade", "http2-settings", "connection"] {
            assert!(seen.values(name).is_empty(), "{protocol}: {:?}", seen.headers);
        }
    }
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_a_protocol_error() {
    let world = scripted(|_, mut wire| async move {
        wire.until("\r\n\r\n").await;
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw")
            .await;
        wire.rest().await;
    })
    .await;
    let answer = world.ask(Version::HTTP_11, &Ask::get("/")).await;
    assert_eq!(answer.refusal(), (502, "upstream-protocol"));
}
