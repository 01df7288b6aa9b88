//! Rule 7: nothing is injected on cleartext.

use std::sync::{Arc, Mutex};

use crate::support::client::Ask;
use crate::support::scripted::Scripted;
use crate::support::wire::{Wire, find};
use crate::support::world::{ALPHA, World};

const PLACEHOLDER: &str = "authsome-proxy-managed";

/// A plain HTTP server that keeps the heads that it read.
async fn plain() -> (Scripted, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = heads.clone();
    let server = Scripted::tcp(move |_, socket| {
        let heads = kept.clone();
        async move {
            let mut wire = Wire::new(socket);
            let head = wire.until("\r\n\r\n").await;
            heads.lock().unwrap().push(String::from_utf8(head).unwrap());
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain").await;
            wire.rest().await;
        }
    })
    .await;
    (server, heads)
}

#[tokio::test]
async fn plain_http_is_forwarded_and_never_injected() {
    let (server, heads) = plain().await;
    let world = World::builder().found_at("api.alpha.test:80", server.address).start().await;
    for target in
        ["http://api.alpha.test/a?b=c", "http://api.alpha.test:80/a?b=c", "HTTP://API.alpha.test/a?b=c"]
    {
        let mut wire = world.client.open().await;
        let proof = world.client.authorization();
        let head = format!("GET {target} HTTP/1.1\r\nHost: api.alpha.test\r\nX-Mark: 1\r\n{proof}\r\n");
        assert_eq!(wire.ask(head).await.expect(200).text(), "plain", "{target}");
    }
    for head in heads.lock().unwrap().iter() {
        let lower = head.to_lowercase();
        assert!(lower.starts_with("get /a?b=c http/1.1\r\n"), "{head}");
        assert!(lower.contains("x-mark: 1\r\n"), "{head}");
        assert!(!lower.contains("authorization"), "{head}");
        assert!(!head.contains("sk-alpha"), "{head}");
    }
}

#[tokio::test]
async fn a_placeholder_is_not_sent_over_plain_http() {
    let (server, heads) = plain().await;
    let world = World::builder()
        .found_at("api.alpha.test:80", server.address)
        .found_at("stranger.test:80", server.address)
        .start()
        .await;
    for host in ["api.alpha.test", "stranger.test"] {
        let mut wire = world.client.open().await;
        let proof = world.client.authorization();
        let slot = format!("Authorization: Bearer {PLACEHOLDER}");
        let head = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n{slot}\r\n{proof}\r\n");
        assert_eq!(wire.ask(head).await.refusal(), (403, "placeholder-misplaced"));
    }
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_absolute_https_target_outside_a_tunnel_is_refused_400() {
    let world = World::new().await;
    let proof = world.client.authorization();
    let head = format!("GET https://api.alpha.test/ HTTP/1.1\r\nHost: api.alpha.test\r\n{proof}\r\n");
    let answer = world.client.open().await.ask(head).await;
    assert_eq!(answer.status.as_u16(), 400);
    world.origin.expect_untouched();
}

#[tokio::test]
async fn http_without_tls_in_a_tunnel_to_a_routed_host_is_closed() {
    let world = World::new().await;
    for bytes in [Ask::get("/").bytes(ALPHA), b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), vec![0; 600]] {
        let mut wire = world.client.tunnel(ALPHA).await;
        wire.send(bytes).await;
        let rest = wire.rest().await;
        assert!(find(&rest, b"hello").is_none());
    }
    world.origin.expect_no_request();
}

#[tokio::test]
async fn http_in_a_tunnel_to_another_port_is_never_injected() {
    let (server, heads) = plain().await;
    let world = World::builder().found_at("api.alpha.test:80", server.address).start().await;
    let mut wire = world.client.tunnel("api.alpha.test:80").await;
    wire.ask(Ask::get("/").bytes("api.alpha.test:80")).await.expect(200);
    assert!(!heads.lock().unwrap()[0].contains("sk-alpha"));
}
