//! Rules 13 and 14: the proxy serves only its own agent.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use base64::Engine as _;
use http::Version;

use crate::support::client::Ask;
use crate::support::home::Home;
use crate::support::world::{ALPHA, OTHER, World};

fn basic(pair: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

#[tokio::test]
async fn a_caller_without_the_token_is_refused_407_and_nothing_is_dialled() {
    let world = World::new().await;
    let token = world.client.token.clone();
    let other_token: String = token.chars().rev().collect();
    for proof in [
        None,
        Some(basic("run:")),
        Some(basic("")),
        Some(basic("run:wrong")),
        Some(basic(&format!("run:{}", &token[1..]))),
        Some(basic(&format!("run:{token}x"))),
        Some(basic(&format!("run:{}", token.to_lowercase()))),
        Some(basic(&format!("run:{other_token}"))),
        Some(basic(&token)),
        Some("Basic !!!".to_owned()),
        Some(format!("Bearer {other_token}")),
        Some(format!("Digest {token}")),
        Some(token.clone()),
    ] {
        for target in [OTHER, ALPHA] {
            let mut wire = world.client.open().await;
            let proof =
                proof.as_ref().map(|value| format!("Proxy-Authorization: {value}\r\n")).unwrap_or_default();
            let answer =
                wire.ask(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{proof}\r\n")).await;
            assert_eq!(answer.refusal(), (407, "proxy-authentication-required"), "{proof:?}");
            assert_eq!(answer.header("proxy-authenticate"), "Basic realm=\"authsome\"");
        }
    }
    world.origin.expect_untouched();
}

#[tokio::test]
async fn a_407_keeps_the_connection_open_for_the_proof() {
    let world = World::new().await;
    let mut wire = world.client.open().await;
    let head = format!("CONNECT {OTHER} HTTP/1.1\r\nHost: {OTHER}\r\n");
    for _ in 0..3 {
        let answer = wire.ask(format!("{head}\r\n")).await;
        assert_eq!(answer.refusal(), (407, "proxy-authentication-required"));
    }
    wire.send(format!("{head}{}\r\n", world.client.authorization())).await;
    assert_eq!(wire.head().await.status.as_u16(), 200);
}

#[tokio::test]
async fn plain_http_without_the_token_is_refused_407() {
    let world = World::new().await;
    for target in ["http://other.test/", "/", "http://api.alpha.test/"] {
        let answer =
            world.client.open().await.ask(format!("GET {target} HTTP/1.1\r\nHost: other.test\r\n\r\n")).await;
        assert_eq!(answer.refusal(), (407, "proxy-authentication-required"), "{target}");
    }
    world.origin.expect_untouched();
}

#[tokio::test]
async fn the_token_counts_as_basic_and_as_bearer() {
    let world = World::new().await;
    let token = &world.client.token;
    assert!(token.len() >= 43 && token.chars().all(|c| c.is_ascii_alphanumeric()), "{token}");
    for proof in [
        basic(&format!("run:{token}")),
        format!("Bearer {token}"),
        format!("bearer {token}"),
        basic(&format!("run:{token}")).replace("Basic", "basic"),
    ] {
        let mut wire = world.client.open().await;
        let head =
            format!("CONNECT {OTHER} HTTP/1.1\r\nHost: {OTHER}\r\nProxy-Authorization: {proof}\r\n\r\n");
        wire.send(head).await;
        assert_eq!(wire.head().await.status.as_u16(), 200, "{proof}");
    }
}

#[tokio::test]
async fn a_token_of_another_home_is_refused() {
    let (world, stranger) = tokio::join!(World::new(), World::new());
    let mut client = world.client.clone();
    client.token = stranger.client.token.clone();
    let (answer, _) = client.connect(ALPHA).await;
    assert_eq!(answer.refusal(), (407, "proxy-authentication-required"));
}

#[tokio::test]
async fn the_proxy_listens_on_loopback_only() {
    let world = World::new().await;
    assert!(world.proxy.address.ip().is_loopback());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap()
        + &std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    let port = format!(":{:04X} ", world.proxy.address.port());
    let mut listening = table.lines().filter_map(|line| line.split_once(": ").map(|(_, rest)| rest));
    let local: Vec<_> =
        listening.by_ref().filter(|line| line[..20].contains(&port) && line.contains(" 0A ")).collect();
    assert_eq!(local.len(), 1, "{local:?}");
    assert!(local[0].starts_with("0100007F:"), "{local:?}");
}

#[tokio::test]
async fn a_listener_beyond_loopback_refuses_to_start_without_a_token_file() {
    let home = Home::new();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let mut command = home.command();
        command.args(["proxy", "--listen", address]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut proxy = command.spawn().unwrap();
        let mut announced = String::new();
        BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut announced).unwrap();
        if !announced.is_empty() {
            proxy.kill().unwrap();
        }
        let output = proxy.wait_with_output().unwrap();
        assert_eq!(announced, "", "it listens on {address}");
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("token"), "{output:?}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Home::new().run(&["proxy", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address), "{output:?}");
}

#[tokio::test]
async fn garbage_half_requests_and_silence_disturb_nobody() {
    let world = World::new().await;
    let mut silent = world.client.open().await;
    silent.send("CONN").await;
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0; 5000],
        b"\r\n\r\nNOT HTTP\r\n\r\n".to_vec(),
    ] {
        let mut wire = world.client.open().await;
        wire.send(garbage).await;
        wire.finish().await;
        wire.rest().await;
    }
    world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
    drop(silent);
}
