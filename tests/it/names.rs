//! Rule 1: the CONNECT authority is the only name that decides.

use http::Version;

use crate::support::client::{Ask, VERSIONS};
use crate::support::frames;
use crate::support::tls;
use crate::support::wire::Hello;
use crate::support::world::{ALPHA, World, alpha_bearer};

/// What the client's TLS said of a failed handshake.
fn alert(error: &std::io::Error) -> rustls::AlertDescription {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("no alert but {error:?}"),
    }
}

#[tokio::test]
async fn a_tls_name_other_than_the_authority_is_answered_by_a_fatal_alert() {
    let world = World::new().await;
    for name in ["other.test", "alpha.test", "api.alpha.test.other.test", "localhost"] {
        for alpn in [tls::H1, tls::H2] {
            let tunnel = world.client.tunnel(ALPHA).await;
            let error = tunnel.tls(&world.client.roots, &Hello::to(name, alpn)).await.err().unwrap();
            assert_eq!(alert(&error), rustls::AlertDescription::UnrecognisedName, "{name}");
        }
    }
    world.origin.expect_no_request();
}

#[tokio::test]
async fn a_wrong_tls_name_is_noted_in_the_audit() {
    let world = World::new().await;
    let tunnel = world.client.tunnel(ALPHA).await;
    assert!(tunnel.tls(&world.client.roots, &Hello::to("other.test", tls::H1)).await.is_err());
    world.home.audited("refused", |entry| entry["reason"] == "misdirected").await;
}

#[tokio::test]
async fn a_tunnel_without_a_tls_name_is_served_as_its_authority() {
    let world = World::new().await;
    let tunnel = world.client.tunnel(ALPHA).await;
    let hello = Hello::to("api.alpha.test", tls::H1).without_name();
    let mut wire = tunnel.tls(&world.client.roots, &hello).await.unwrap();
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    assert_eq!(world.origin.only_request().values("authorization"), [alpha_bearer()]);
    assert_eq!(world.origin.record().names, [Some("api.alpha.test".to_owned())]);
}

#[tokio::test]
async fn a_host_other_than_the_tunnels_is_refused_421_and_the_h1_connection_closes() {
    let world = World::new().await;
    for host in
        ["other.test", "api.alpha.test:8443", "api.alpha.test.other.test", "xapi.alpha.test", "127.0.0.1"]
    {
        let mut wire = world.client.h1(ALPHA).await;
        let answer = wire.ask(Ask::get("/").authority(host).bytes(ALPHA)).await;
        assert_eq!(answer.refusal(), (421, "misdirected"), "{host}");
        wire.expect_end().await;
    }
    world.origin.expect_no_request();
    world.home.audited("refused", |entry| entry["reason"] == "misdirected").await;
}

#[tokio::test]
async fn an_authority_other_than_the_tunnels_is_refused_421_and_the_h2_connection_stays() {
    let world = World::new().await;
    let mut h2 = world.client.h2(ALPHA).await;
    for authority in ["other.test", "api.alpha.test:8443", "api.alpha.test.other.test", "xapi.alpha.test"] {
        let answer = h2.ask(ALPHA, &Ask::get("/").authority(authority)).await;
        assert_eq!(answer.refusal(), (421, "misdirected"), "{authority}");
    }
    world.origin.expect_no_request();
    h2.ask(ALPHA, &Ask::get("/")).await.expect(200);
}

#[tokio::test]
async fn a_later_request_of_a_connection_is_checked_like_the_first() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    let answer = wire.ask(Ask::get("/").authority("other.test").bytes(ALPHA)).await;
    assert_eq!(answer.refusal(), (421, "misdirected"));
    assert_eq!(world.origin.only_request().uri.path(), "/");
}

#[tokio::test]
async fn two_hosts_are_refused_400() {
    let world = World::new().await;
    for second in ["api.alpha.test", "other.test"] {
        let ask = Ask::get("/").header("Host", second);
        let answer = world.client.h1(ALPHA).await.ask(ask.bytes(ALPHA)).await;
        assert_eq!(answer.refusal(), (400, "host-conflict"), "h1 {second}");
        let ask = Ask::get("/").header("host", "api.alpha.test").header("host", second);
        let answer = world.ask(Version::HTTP_2, &ask).await;
        assert_eq!(answer.refusal(), (400, "host-conflict"), "h2 {second}");
    }
    world.origin.expect_no_request();
}

#[tokio::test]
async fn a_host_that_differs_from_the_authority_is_refused_400() {
    let world = World::new().await;
    for target in ["https://other.test/", "https://api.alpha.test:8443/"] {
        let answer = world.client.h1(ALPHA).await.ask(Ask::get(target).bytes(ALPHA)).await;
        assert_eq!(answer.refusal(), (400, "host-conflict"), "{target}");
    }
    let answer = world.ask(Version::HTTP_2, &Ask::get("/").header("host", "other.test")).await;
    assert_eq!(answer.refusal(), (400, "host-conflict"));
    world.origin.expect_no_request();
}

#[tokio::test]
async fn a_request_without_a_name_is_refused_400() {
    let world = World::new().await;
    let answer = world.client.h1(ALPHA).await.ask("GET / HTTP/1.1\r\nAccept: */*\r\n\r\n").await;
    assert_eq!(answer.status.as_u16(), 400);
    let mut wire = world.client.secure(ALPHA, tls::H2).await;
    wire.send(frames::opening()).await;
    wire.send(frames::request(1, &[(":method", b"GET"), (":scheme", b"https"), (":path", b"/")])).await;
    frames::verdict(&mut wire).await;
    world.origin.expect_no_request();
}

#[tokio::test]
async fn an_absolute_target_of_the_same_authority_is_served_in_origin_form() {
    let world = World::new().await;
    let ask = Ask::get("https://api.alpha.test/v1?a=%2F");
    world.client.h1(ALPHA).await.ask(ask.bytes(ALPHA)).await.expect(200);
    let seen = world.origin.only_request();
    assert_eq!(seen.uri.to_string(), "/v1?a=%2F");
    assert_eq!(seen.values("host"), ["api.alpha.test"]);
}

#[tokio::test]
async fn spellings_of_the_same_name_are_one_name() {
    let world = World::new().await;
    for authority in ["API.Alpha.TEST:443", "api.alpha.test.:443"] {
        let tunnel = world.client.tunnel(authority).await;
        let hello = Hello::to("api.alpha.test", tls::H1);
        let mut wire = tunnel.tls(&world.client.roots, &hello).await.unwrap();
        wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    }
    for host in ["API.ALPHA.test", "api.alpha.test:443", "api.alpha.test."] {
        for version in VERSIONS {
            world.ask(version, &Ask::get("/").authority(host)).await.expect(200);
        }
    }
    let requests = world.origin.requests();
    assert_eq!(requests.len(), 8);
    assert!(requests.iter().all(|seen| seen.values("authorization") == [alpha_bearer()]));
}

#[tokio::test]
async fn an_authority_that_is_no_name_is_refused_400() {
    let world = World::new().await;
    for authority in [
        "api.alpha.test",
        "api.alpha.test:",
        "api.alpha.test:0",
        "api.alpha.test:99999",
        "api.alpha.test:443:443",
        "user@api.alpha.test:443",
        "other.test:443@api.alpha.test:443",
        ":443",
        "api..alpha.test:443",
        ".api.alpha.test:443",
        "api.alpha.test..:443",
        "api%2ealpha.test:443",
        "api.alpha.test%00.other.test:443",
        "api.alpha.test\\.other.test:443",
        "api.alpha.test/:443",
        "0x7f.0.0.1:443",
        "0177.0.0.1:443",
        "2130706433:443",
        "127.1:443",
        "[::1:443",
        "[fe80::1%25eth0]:443",
        "b\u{fc}cher.test:443",
    ] {
        let (answer, _) = world.client.connect(authority).await;
        assert_eq!(answer.status.as_u16(), 400, "{authority}");
    }
    world.origin.expect_untouched();
}
