//! Rule 20: the server sees exactly one request, framed anew by us, or none.

use crate::support::origin::Seen;
use crate::support::tls;
use crate::support::world::{ALPHA, World, alpha_bearer};

const HOST: &str = "Host: api.alpha.test\r\n";
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: api.alpha.test\r\nX-Smuggled: 1\r\n\r\n";

/// Sends bytes and reads until the proxy closes, which it must; gives the statuses of all answers.
async fn statuses(world: &World, bytes: &[u8]) -> Vec<u16> {
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(bytes).await;
    let rest = String::from_utf8_lossy(&wire.rest().await).into_owned();
    let lines = rest.split("HTTP/1.").skip(1);
    lines.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn a_malformed_request_is_400_and_nothing_of_it_is_forwarded() {
    let world = World::new().await;
    let heads = [
        "POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        "POST / HTTP/1.1\r\n{host}Content-Length: 5, 6\r\n\r\nabcde",
        "POST / HTTP/1.1\r\n{host}Content-Length: +5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\n{host}Content-Length: 0x5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\n{host}Content-Length: -5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\nabcde",
        "POST / HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n{host}Transfer-Encoding: identity\r\n\r\nabcde",
        "POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n{host}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n{host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n{host}X-A: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\n{host}X-A: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\n{host}X-A: b\rX-B: c\r\n\r\n",
        "GET / HTTP/1.1\r\n{host} X-A: b\r\n\r\n",
        "GET / HTTP/1.1\r\n{host}X A: b\r\n\r\n",
        "GET / HTTP/1.1\r\n{host}: b\r\n\r\n",
        "GET / HTTP/1.1\r\n{host}no colon\r\n\r\n",
        "GET  / HTTP/1.1\r\n{host}\r\n",
        "GET / x HTTP/1.1\r\n{host}\r\n",
        "GET / HTTP/2.0\r\n{host}\r\n",
        "GET / HTTP/1.1\r\nHost : api.alpha.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: api.alpha.test, other.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@api.alpha.test\r\n\r\n",
        "G\x01T / HTTP/1.1\r\n{host}\r\n",
    ];
    for head in heads {
        let bytes = head.replace("{host}", HOST) + SMUGGLED;
        assert_eq!(statuses(&world, bytes.as_bytes()).await, [400], "{head:?}");
    }
    world.origin.expect_no_request();
}

/// That a request was served as one, with the body that all readings of it agree on, and framed in one way.
fn expect_framed_anew(seen: &Seen, head: &str) {
    assert_eq!(seen.values("authorization"), [alpha_bearer()]);
    assert_eq!(seen.body.as_deref(), Some(b"abc".as_slice()), "{head:?}");
    let framing = seen.values("content-length").len() + seen.values("transfer-encoding").len();
    assert_eq!(framing, 1, "{head:?}: {:?}", seen.headers);
}

#[tokio::test]
async fn a_length_beside_chunks_is_dropped_and_the_connection_used_no_further() {
    let world = World::builder().origin(|plan| plan.alpn(tls::H1)).start().await;
    for head in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let before = world.origin.requests().len();
        let bytes = format!("POST / HTTP/1.1\r\n{HOST}{head}\r\n\r\n3\r\nabc\r\n0\r\n\r\n{SMUGGLED}");
        let answers = statuses(&world, bytes.as_bytes()).await;
        let requests = world.origin.requests();
        assert_eq!(
            requests.len() - before,
            answers.iter().filter(|status| **status == 200).count(),
            "{head:?}"
        );
        assert_eq!(answers.len(), 1, "{head:?}: the connection was used further");
        requests[before..].iter().for_each(|seen| expect_framed_anew(seen, head));
    }
}

#[tokio::test]
async fn what_has_one_reading_only_is_served_as_that_and_framed_anew() {
    let world = World::builder().origin(|plan| plan.alpn(tls::H1)).start().await;
    for head in [
        "POST / HTTP/1.1\r\n{host}Content-Length: 3\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        "POST / HTTP/1.1\n{host}Content-Length: 3\nConnection: close\n\nabc",
    ] {
        let before = world.origin.requests().len();
        let answers = statuses(&world, (head.replace("{host}", HOST) + SMUGGLED).as_bytes()).await;
        let requests = world.origin.requests();
        assert_eq!(
            requests.len() - before,
            answers.iter().filter(|status| **status == 200).count(),
            "{head:?}"
        );
        assert_eq!(answers.len(), 1, "{head:?}");
        requests[before..].iter().for_each(|seen| expect_framed_anew(seen, head));
    }
}

#[tokio::test]
async fn a_broken_chunked_body_never_reaches_the_server_whole() {
    let world = World::new().await;
    for chunks in [
        "3\r\nabcd\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3;\nx\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "3 \x00\r\nabc\r\n0\r\n\r\n",
        "g\r\nabc\r\n0\r\n\r\n",
    ] {
        let bytes = format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{chunks}{SMUGGLED}");
        let answers = statuses(&world, bytes.as_bytes()).await;
        assert!(!answers.contains(&200), "{chunks:?}: {answers:?}");
    }
    for seen in world.origin.requests() {
        assert_eq!(seen.body, None, "{seen:?}");
        assert_eq!(seen.uri.path(), "/");
    }
}

#[tokio::test]
async fn a_trailer_cannot_become_a_header() {
    let world = World::new().await;
    let trailers =
        "Authorization: Bearer x\r\nHost: other.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n";
    let announced = "Trailer: authorization, host, content-length, transfer-encoding\r\n";
    let head = format!("POST / HTTP/1.1\r\n{HOST}{announced}Transfer-Encoding: chunked\r\n\r\n");
    let mut wire = world.client.h1(ALPHA).await;
    wire.ask(format!("{head}3\r\nabc\r\n0\r\n{trailers}\r\n")).await;
    for seen in world.origin.requests() {
        for name in ["authorization", "host", "content-length", "transfer-encoding"] {
            assert!(!seen.trailers.contains_key(name), "{name} came as a trailer");
        }
        assert_eq!(seen.values("authorization"), [alpha_bearer()]);
    }
}
