//! Rules 9 and 10: fields of one hop end with it, and no field can be smuggled in a value.

use http::{Response, Version};

use crate::support::client::Ask;
use crate::support::frames;
use crate::support::streams::full;
use crate::support::tls;
use crate::support::world::{ALPHA, World, alpha_bearer};

#[tokio::test]
async fn the_connection_field_cannot_strip_an_injected_header() {
    let world = World::new().await;
    for value in ["authorization", "close, Authorization", "keep-alive, AUTHORIZATION, x-mine"] {
        let ask = Ask::get("/").header("Connection", value).header("X-Mine", "1").header("X-Other", "2");
        world.ask(Version::HTTP_11, &ask).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values("authorization"), [alpha_bearer()], "{value}");
        assert_eq!(seen.values("x-other"), ["2"], "{value}");
        assert_eq!(seen.values("x-mine").is_empty(), value.contains("x-mine"), "{value}");
        let connection = seen.values("connection").concat().to_lowercase();
        assert!(!connection.contains("authorization"), "{connection}");
    }
}

#[tokio::test]
async fn hop_by_hop_fields_and_proxy_credentials_never_reach_the_server() {
    let world = World::new().await;
    let fields = [
        ("Proxy-Authorization", "Basic cnVuOnNlY3JldA=="),
        ("Proxy-Connection", "keep-alive"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "gzip"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ("Authsome-Error", "none"),
        ("Authsome-Provider", "alpha"),
    ];
    let unnamed = fields.iter().fold(Ask::get("/"), |ask, (name, value)| ask.header(name, value));
    let named = unnamed.clone().header("Connection", "Upgrade, HTTP2-Settings, TE");
    for ask in [unnamed, named] {
        world.ask(Version::HTTP_11, &ask).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        let names: Vec<_> = seen.headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(seen.headers.len(), 2, "{names:?}");
        assert!(names.contains(&"host") && names.contains(&"authorization"), "{names:?}");
    }
}

#[tokio::test]
async fn proxy_credentials_do_not_leave_over_h2_either() {
    let world = World::new().await;
    let ask = Ask::get("/").header("proxy-authorization", "Basic cnVuOnNlY3JldA==").header("authsome-x", "1");
    world.ask(Version::HTTP_2, &ask).await.expect(200);
    let seen = world.origin.only_request();
    assert!(seen.values("proxy-authorization").is_empty());
    assert!(seen.values("authsome-x").is_empty());
}

#[tokio::test]
async fn trailers_can_be_asked_for() {
    let world = World::new().await;
    world.ask(Version::HTTP_2, &Ask::get("/").header("te", "trailers")).await.expect(200);
    assert_eq!(world.origin.only_request().values("te"), ["trailers"]);
}

#[tokio::test]
async fn fields_of_the_servers_connection_do_not_reach_the_client() {
    let reply = |_| async {
        let response =
            Response::builder().header("connection", "x-hop").header("x-hop", "1").header("x-end", "2");
        response
            .header("keep-alive", "timeout=1")
            .header("proxy-connection", "close")
            .body(full("x"))
            .unwrap()
    };
    let world = World::builder().origin(|plan| plan.alpn(tls::H1).handler(reply)).start().await;
    let answer = world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
    for name in ["x-hop", "keep-alive", "proxy-connection"] {
        assert_eq!(answer.header(name), "", "{name}");
    }
    assert_eq!(answer.header("x-end"), "2");
}

#[tokio::test]
async fn a_key_with_line_ends_or_nul_is_refused_when_it_is_stored() {
    let world = World::new().await;
    for key in ["good\r\nX-Evil: 1", "good\nX-Evil: 1", "go\0od", "go\rod"] {
        let login = world.home.run_with(&["login", "alpha", "--stdin", "--force"], key);
        assert!(!login.status.success(), "{key:?} was stored");
    }
    world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
    assert_eq!(world.origin.only_request().values("authorization"), [alpha_bearer()]);
}

#[tokio::test]
async fn line_ends_and_nul_in_h2_fields_reach_nobody() {
    let world = World::new().await;
    let usual: [(&str, &[u8]); 3] =
        [(":method", b"GET"), (":scheme", b"https"), (":authority", b"api.alpha.test")];
    for (name, value) in [
        ("x-mine", b"a\r\nx-evil: 1".as_slice()),
        ("x-mine", b"a\nb"),
        ("x-mine", b"a\0b"),
        ("x-mine\r\nx-evil", b"1"),
        ("x-mine: x", b"1"),
        ("X-Upper", b"1"),
        ("connection", b"close"),
        ("transfer-encoding", b"chunked"),
        ("upgrade", b"h2c"),
        (":path", b"/b"),
        (":method", b"POST"),
        (":unknown", b"1"),
        (":authority", b"other.test"),
    ] {
        let mut wire = world.client.secure(ALPHA, tls::H2).await;
        let fields = [&usual[..], &[(":path", b"/"), (name, value)]].concat();
        wire.send(frames::opening()).await;
        wire.send(frames::request(1, &fields)).await;
        frames::verdict(&mut wire).await;
    }
    for path in [b"/a b".as_slice(), b"/a\r\nx: y", b"", b"relative", b"/\0"] {
        let mut wire = world.client.secure(ALPHA, tls::H2).await;
        wire.send(frames::opening()).await;
        wire.send(frames::request(1, &[&usual[..], &[(":path", path)]].concat())).await;
        frames::verdict(&mut wire).await;
    }
    world.origin.expect_no_request();
}
