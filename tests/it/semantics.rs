//! Rule 21: HTTP behaves as RFC 9110 to 9113 say.

use http::{HeaderMap, HeaderValue, Method, Response, Version};
use http_body_util::BodyExt;

use crate::support::client::{Ask, VERSIONS, collect};
use crate::support::scripted::Scripted;
use crate::support::streams::{empty, fed, full};
use crate::support::tls;
use crate::support::world::{ALPHA, World};

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_usable() {
    let reply = |request: http::Request<hyper::body::Incoming>| async move {
        let response = match request.uri().path() {
            _ if request.method() == Method::HEAD => Response::builder().header("content-length", "20"),
            "/204" => Response::builder().status(204),
            "/304" => Response::builder().status(304).header("etag", "\"x\""),
            _ => return Response::new(full("a body of 20 bytes..")),
        };
        response.body(empty()).unwrap()
    };
    let world = World::builder().origin(|plan| plan.handler(reply)).start().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::new(Method::HEAD, "/").bytes(ALPHA)).await;
    assert_eq!(wire.head().await.expect(200).header("content-length"), "20");
    wire.ask(Ask::get("/204").bytes(ALPHA)).await.expect(204);
    assert_eq!(wire.ask(Ask::get("/304").bytes(ALPHA)).await.expect(304).header("etag"), "\"x\"");
    assert_eq!(wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200).body.len(), 20);

    let mut h2 = world.client.h2(ALPHA).await;
    let head = h2.ask(ALPHA, &Ask::new(Method::HEAD, "/")).await.expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), ("20", 0));
    h2.ask(ALPHA, &Ask::get("/204")).await.expect(204);
    h2.ask(ALPHA, &Ask::get("/304")).await.expect(304);
}

#[tokio::test]
async fn a_head_of_a_chunked_resource_and_lengths_without_bodies_are_understood() {
    let script = |_, mut wire: crate::support::wire::Wire| async move {
        for head in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ] {
            wire.until("\r\n\r\n").await;
            wire.send(head).await;
        }
        wire.until("\r\n\r\n").await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast").await;
        wire.rest().await;
    };
    let builder = World::builder();
    let server = Scripted::tls(builder.authority().certify(&["api.alpha.test"]), tls::H1, script).await;
    let world = builder.found_at(ALPHA, server.address).start().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::new(Method::HEAD, "/").bytes(ALPHA)).await;
    wire.head().await.expect(200);
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(204);
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(304);
    assert_eq!(wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200).text(), "last");
}

#[tokio::test]
async fn expect_100_continue_is_answered_by_us_and_not_forwarded() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    let expectation =
        "POST / HTTP/1.1\r\nHost: api.alpha.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    wire.send(expectation).await;
    assert_eq!(wire.head().await.status.as_u16(), 100);
    wire.send("abc").await;
    wire.answer().await.expect(200);
    let seen = world.origin.only_request();
    assert_eq!(seen.body.as_deref(), Some(b"abc".as_slice()));
    assert!(seen.values("expect").is_empty());
}

#[tokio::test]
async fn other_interim_responses_are_consumed() {
    let script = |_, mut wire: crate::support::wire::Wire| async move {
        wire.until("\r\n\r\n").await;
        wire.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n").await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
        wire.rest().await;
    };
    let builder = World::builder();
    let server = Scripted::tls(builder.authority().certify(&["api.alpha.test"]), tls::H1, script).await;
    let world = builder.found_at(ALPHA, server.address).start().await;
    assert_eq!(world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200).text(), "done");
}

#[tokio::test]
async fn announced_h1_trailers_pass_both_ways() {
    let reply = |request: http::Request<hyper::body::Incoming>| async move {
        let sent = request.into_body().collect().await.unwrap().trailers().cloned().unwrap_or_default();
        let (feed, body) = fed();
        tokio::spawn(async move {
            feed.send("answer").await;
            feed.trailers(sent).await;
        });
        Response::builder().header("trailer", "x-checksum").body(body).unwrap()
    };
    let world = World::builder().origin(|plan| plan.alpn(tls::H1).handler(reply)).start().await;
    let mut wire = world.client.h1(ALPHA).await;
    let head = "POST / HTTP/1.1\r\nHost: api.alpha.test\r\nTE: trailers\r\nConnection: TE\r\n";
    let framing = "Trailer: x-checksum\r\nTransfer-Encoding: chunked\r\n\r\n";
    wire.send(format!("{head}{framing}3\r\nabc\r\n0\r\nX-Checksum: 7\r\n\r\n")).await;
    wire.head().await.expect(200);
    assert_eq!(wire.chunk().await.unwrap(), b"answer");
    assert!(wire.chunk().await.is_none());
    assert_eq!(wire.until("\r\n\r\n").await.to_ascii_lowercase(), b"x-checksum: 7\r\n\r\n");
}

#[tokio::test]
async fn h2_trailers_pass_both_ways() {
    let reply = |request: http::Request<hyper::body::Incoming>| async move {
        let sent = request.into_body().collect().await.unwrap().trailers().cloned().unwrap_or_default();
        let (feed, body) = fed();
        tokio::spawn(feed.trailers(sent));
        Response::new(body)
    };
    let world = World::builder().origin(|plan| plan.handler(reply)).start().await;
    let mut h2 = world.client.h2(ALPHA).await;
    let (feed, body) = fed();
    let request = http::Request::post("https://api.alpha.test/").header("te", "trailers").body(body).unwrap();
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let fill = async {
        feed.send("message").await;
        feed.trailers(trailers).await;
    };
    let (response, ()) = tokio::join!(h2.send(request), fill);
    let answer = collect(response.unwrap()).await;
    assert_eq!(answer.trailers.get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn a_host_and_a_target_are_forwarded_exactly_as_signed_urls_need() {
    let world = World::new().await;
    let target = "/a%2Fb/%7e/~/(c)/d+e?X-Sig=%2b%2B+%20&b=&a=1&&A=2";
    for host in ["api.alpha.test", "api.alpha.test:443", "API.alpha.test"] {
        let mut wire = world.client.h1(ALPHA).await;
        wire.ask(Ask::get(target).authority(host).bytes(ALPHA)).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values("host"), [host]);
        assert_eq!(seen.uri.to_string(), target);
    }
    let mut h2 = world.client.h2(ALPHA).await;
    h2.ask(ALPHA, &Ask::get(target)).await.expect(200);
    let seen = world.origin.requests().pop().unwrap();
    assert_eq!(seen.uri.path_and_query().unwrap().as_str(), target);
    assert_eq!(seen.uri.authority().unwrap(), "api.alpha.test");
}

#[tokio::test]
async fn any_method_and_any_body_pass() {
    let world = World::new().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PROPFIND"] {
        for version in VERSIONS {
            let ask = Ask::new(method.parse().unwrap(), "/").body(vec![0xff, 0x00, 0x0a]);
            world.ask(version, &ask).await.expect(200);
            let seen = world.origin.requests().pop().unwrap();
            assert_eq!(seen.method, method);
            assert_eq!(seen.body.as_deref(), Some([0xff, 0x00, 0x0a].as_slice()));
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_ended_cleanly() {
    let reply = |_| async {
        let (feed, body) = fed();
        tokio::spawn(async move {
            feed.send("half of it").await;
            feed.abort().await;
        });
        Response::new(body)
    };
    let world = World::builder().origin(|plan| plan.handler(reply)).start().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::get("/").bytes(ALPHA)).await;
    wire.head().await.expect(200);
    let rest = wire.rest().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));

    let mut h2 = world.client.h2(ALPHA).await;
    let request = http::Request::get("https://api.alpha.test/").body(empty()).unwrap();
    // The reset may overtake the head.
    if let Ok(response) = h2.send(request).await {
        assert!(response.into_body().collect().await.is_err());
    }
}
