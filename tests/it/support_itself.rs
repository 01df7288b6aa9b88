//! The tests' own tools, tried without the program.

use std::sync::Arc;

use http::Version;

use crate::support::authority::{self, Authority};
use crate::support::client::{Ask, H2};
use crate::support::frames;
use crate::support::origin::{Origin, Plan};
use crate::support::scripted::Scripted;
use crate::support::streams::fed;
use crate::support::tls;
use crate::support::wire::{Hello, Wire};

async fn direct(address: std::net::SocketAddr) -> Wire {
    Wire::new(tokio::net::TcpStream::connect(address).await.unwrap())
}

#[tokio::test]
async fn a_server_records_what_reaches_it_in_either_version() {
    let authority = Authority::new();
    let origin = Origin::start(authority.certify(&["a.test"]), Plan::default()).await;
    let roots = tls::roots(&authority.pem());
    let ask = Ask::get("/x").header("x-mark", "1").body("abc");

    let hello = Hello::to("a.test", tls::H1);
    let mut h1 = direct(origin.address).await.tls(&roots, &hello).await.unwrap();
    assert_eq!(h1.ask(ask.bytes("a.test:443")).await.expect(200).text(), "hello");
    let hello = Hello::to("a.test", tls::H2);
    let h2 = direct(origin.address).await.tls(&roots, &hello).await.unwrap();
    assert_eq!(H2::over(h2).await.ask("a.test:443", &ask).await.expect(200).text(), "hello");

    let seen = origin.requests();
    assert_eq!(seen.iter().map(|seen| seen.version).collect::<Vec<_>>(), [Version::HTTP_11, Version::HTTP_2]);
    assert!(seen.iter().all(|seen| seen.body.as_deref() == Some(b"abc") && seen.values("x-mark") == ["1"]));
    assert_eq!(seen.iter().map(|seen| seen.connection).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(origin.record().names, [Some("a.test".to_owned()), Some("a.test".to_owned())]);
}

#[tokio::test]
async fn bad_certificates_are_bad() {
    let authority = Authority::new();
    let roots = tls::roots(&authority.pem());
    for identity in [
        authority.certify(&["b.test"]),
        authority.certify_expired(&["a.test"]),
        authority.certify_future(&["a.test"]),
        authority::self_signed(&["a.test"]),
        Authority::new().certify(&["a.test"]),
    ] {
        let origin = Origin::start(identity, Plan::default()).await;
        let wire = direct(origin.address).await;
        assert!(wire.tls(&roots, &Hello::to("a.test", tls::H1)).await.is_err());
    }
}

#[tokio::test]
async fn frames_by_hand_are_understood() {
    let authority = Authority::new();
    let origin = Origin::start(authority.certify(&["a.test"]), Plan::default()).await;
    let hello = Hello::to("a.test", tls::H2).without_name();
    let mut wire = direct(origin.address).await.tls(&tls::roots(&authority.pem()), &hello).await.unwrap();
    let long = "v".repeat(300);
    wire.send(frames::opening()).await;
    wire.send(frames::request(
        1,
        &[
            (":method", b"GET"),
            (":scheme", b"https"),
            (":authority", b"a.test"),
            (":path", b"/"),
            ("x-long", long.as_bytes()),
        ],
    ))
    .await;
    assert_eq!(frames::verdict(&mut wire).await.kind, frames::HEADERS);
    assert_eq!(origin.only_request().values("x-long"), [long]);
    assert_eq!(origin.record().names, [None]);
}

#[tokio::test]
async fn a_script_speaks_bytes_and_a_feed_one_frame_at_a_time() {
    let authority = Authority::new();
    let scripted = Scripted::tls(authority.certify(&["a.test"]), tls::H1, |number, mut wire| async move {
        wire.until("\r\n\r\n").await;
        wire.send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{number}\r\n0\r\n\r\n"))
            .await;
    })
    .await;
    let roots = tls::roots(&authority.pem());
    let hello = Hello::to("a.test", tls::H1);
    let mut wire = direct(scripted.address).await.tls(&roots, &hello).await.unwrap();
    assert_eq!(wire.ask("GET / HTTP/1.1\r\n\r\n").await.text(), "0");
    wire.expect_end().await;
    assert_eq!(scripted.connections(), 1);
    scripted.dialled(1).await;

    let (feed, body) = fed();
    let body = Arc::new(tokio::sync::Mutex::new(Some(body)));
    let plan = Plan::default().handler(move |_| {
        let body = body.clone();
        async move { http::Response::new(body.lock().await.take().unwrap()) }
    });
    let origin = Origin::start(authority.certify(&["a.test"]), plan).await;
    let mut wire = direct(origin.address).await.tls(&roots, &hello).await.unwrap();
    wire.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!(wire.head().await.header("transfer-encoding"), "chunked");
    assert!(feed.send("one").await);
    assert_eq!(wire.chunk().await.unwrap(), b"one");
    assert!(feed.send("two").await);
    assert_eq!(wire.chunk().await.unwrap(), b"two");
    drop(wire);
    feed.unread().await;
}
