//! Rules 5 and 6: redirects stay the client's affair, and no secret is written before the server proved its name.

use std::sync::Arc;

use http::{Response, StatusCode};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::authority::{self, Authority};
use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::key_of;
use crate::support::origin::{Origin, Plan};
use crate::support::scripted::Scripted;
use crate::support::streams::empty;
use crate::support::tls;
use crate::support::wire::find;
use crate::support::world::{ALPHA, World};

#[tokio::test]
async fn a_redirect_is_passed_to_the_client_and_never_followed() {
    let redirect = |_| async {
        let response = Response::builder().status(StatusCode::TEMPORARY_REDIRECT);
        response.header("location", "https://other.test/elsewhere").body(empty()).unwrap()
    };
    let world = World::builder().origin(|plan| plan.handler(redirect)).start().await;
    for version in VERSIONS {
        let answer = world.ask(version, &Ask::get("/")).await.expect(307);
        assert_eq!(answer.header("location"), "https://other.test/elsewhere");
    }
    let requests = world.origin.requests();
    assert_eq!(requests.iter().map(|seen| seen.uri.path()).collect::<Vec<_>>(), ["/", "/"]);
}

/// That both versions are refused and no request arrives.
async fn expect_certificate_refused(identity: impl Fn(&Authority) -> Arc<CertifiedKey>) {
    let builder = World::builder();
    let bad = Origin::start(identity(builder.authority()), Plan::default()).await;
    let world = builder.found_at(ALPHA, bad.address).start().await;
    for version in VERSIONS {
        let answer = world.ask(version, &Ask::get("/")).await;
        assert_eq!(answer.refusal(), (502, "upstream-certificate"));
    }
    bad.expect_no_request();
    world.home.audited("refused", |entry| entry["reason"] == "upstream-certificate").await;
}

#[tokio::test]
async fn a_server_with_the_wrong_name_is_refused_502() {
    expect_certificate_refused(|authority| authority.certify(&["other.test"])).await;
}

#[tokio::test]
async fn a_server_with_an_expired_certificate_is_refused_502() {
    expect_certificate_refused(|authority| authority.certify_expired(&["api.alpha.test"])).await;
}

#[tokio::test]
async fn a_server_with_a_certificate_of_the_future_is_refused_502() {
    expect_certificate_refused(|authority| authority.certify_future(&["api.alpha.test"])).await;
}

#[tokio::test]
async fn a_server_with_a_self_signed_certificate_is_refused_502() {
    expect_certificate_refused(|_| authority::self_signed(&["api.alpha.test"])).await;
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_refused_502() {
    expect_certificate_refused(|_| Authority::new().certify(&["api.alpha.test"])).await;
}

#[tokio::test]
async fn our_own_ca_is_not_trusted_upstream() {
    let builder = World::builder();
    builder.home().define(&crate::support::definition::Definition::bearer("alpha", "api.alpha.test"));
    builder.home().login("alpha", &key_of("alpha"));
    let certificate = builder.home().ok(&["ca", "export"]);
    let key = std::fs::read_to_string(builder.home().path().join("ca/ca.key")).unwrap();
    let forged = authority::forged(&certificate, &key, &["api.alpha.test"]);
    let bad = Origin::start(forged, Plan::default()).await;
    let world = builder.logged_in().found_at(ALPHA, bad.address).start().await;
    for version in VERSIONS {
        assert_eq!(world.ask(version, &Ask::get("/")).await.refusal(), (502, "upstream-certificate"));
    }
    bad.expect_no_request();
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_502_in_either_version() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::builder().found_at(ALPHA, closed).start().await;
    for version in VERSIONS {
        assert_eq!(world.ask(version, &Ask::get("/")).await.refusal(), (502, "upstream-unreachable"));
    }
}

#[tokio::test]
async fn no_secret_is_written_to_a_server_that_speaks_no_tls() {
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let server = Scripted::tcp(move |_, mut socket| {
        let sender = sender.clone();
        async move {
            let mut bytes = vec![0; 4096];
            let length = socket.read(&mut bytes).await.unwrap_or(0);
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            bytes.truncate(length);
            let _ = socket.read_to_end(&mut bytes).await;
            let _ = sender.send(bytes);
        }
    })
    .await;
    let world = World::builder().found_at(ALPHA, server.address).start().await;
    for version in VERSIONS {
        let answer = world.ask(version, &Ask::get("/")).await;
        assert_eq!(answer.status.as_u16(), 502);
        let heard = crate::support::soon("the server's report", heard.recv()).await.unwrap();
        assert!(find(&heard, b"sk-alpha").is_none());
        assert_eq!(heard.first(), Some(&0x16), "something else than TLS was tried");
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_handshake_is_502() {
    let server = Scripted::tcp(|_, socket| async move { drop(socket) }).await;
    let world = World::builder().found_at(ALPHA, server.address).start().await;
    for version in VERSIONS {
        assert_eq!(world.ask(version, &Ask::get("/")).await.status.as_u16(), 502);
    }
}

#[tokio::test]
async fn names_without_a_certificate_of_ours_are_not_ours() {
    let world = World::new().await;
    let wire = world.client.secure(ALPHA, tls::H1).await;
    let (_, leaf) = x509_parser::parse_x509_certificate(&wire.chain[0]).unwrap();
    let issuer = leaf.issuer().to_string();
    assert!(issuer.to_lowercase().contains("authsome"), "{issuer}");
}
