//! Rule 22: streams are not held back, in either direction.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::support::client::Ask;
use crate::support::soon;
use crate::support::streams::{AnyBody, Feed, fed, full};
use crate::support::world::{ALPHA, World};

/// A world whose server answers with a body that the test feeds.
async fn fed_world(content_type: &'static str) -> (World, Feed) {
    let (feed, body) = fed();
    let body = Arc::new(Mutex::new(Some(body)));
    let reply = move |_| {
        let body: AnyBody = body.lock().unwrap().take().unwrap_or_else(|| full("again"));
        async move { Response::builder().header("content-type", content_type).body(body).unwrap() }
    };
    (World::builder().origin(|plan| plan.handler(reply)).start().await, feed)
}

async fn data(body: &mut Incoming) -> Bytes {
    let frame = soon("a body frame", body.frame()).await.unwrap().unwrap();
    frame.into_data().unwrap()
}

#[tokio::test]
async fn each_event_passes_before_the_next_exists_over_h1() {
    let (world, feed) = fed_world("text/event-stream").await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::get("/").bytes(ALPHA)).await;
    assert_eq!(wire.head().await.expect(200).header("content-type"), "text/event-stream");
    for number in 0..20 {
        let event = format!("data: {number}\n\n");
        assert!(feed.send(event.clone()).await);
        assert_eq!(wire.chunk().await.unwrap(), event.as_bytes());
    }
    drop(feed);
    assert!(wire.chunk().await.is_none());
}

#[tokio::test]
async fn each_event_passes_before_the_next_exists_over_h2() {
    let (world, feed) = fed_world("text/event-stream").await;
    let mut h2 = world.client.h2(ALPHA).await;
    let request = Request::get("https://api.alpha.test/").body(full("")).unwrap();
    let mut body = h2.send(request).await.unwrap().into_body();
    for number in 0..20 {
        let event = format!("data: {number}\n\n");
        assert!(feed.send(event.clone()).await);
        assert_eq!(data(&mut body).await, event);
    }
    assert_eq!(h2.ask(ALPHA, &Ask::get("/")).await.expect(200).text(), "again");
}

/// A server that sends back each piece of a body as it comes.
fn echo(request: Request<Incoming>) -> impl Future<Output = Response<AnyBody>> + Send {
    let (feed, body) = fed();
    let mut incoming = request.into_body();
    tokio::spawn(async move {
        while let Some(Ok(frame)) = incoming.frame().await {
            let Ok(data) = frame.into_data() else { return };
            if !feed.send(data).await {
                return;
            }
        }
        let status = (http::HeaderName::from_static("grpc-status"), http::HeaderValue::from_static("0"));
        feed.trailers(http::HeaderMap::from_iter([status])).await;
    });
    async move { Response::builder().header("content-type", "application/grpc").body(body).unwrap() }
}

#[tokio::test]
async fn a_conversation_over_h2_passes_message_by_message_and_ends_with_trailers() {
    let world = World::builder().origin(|plan| plan.handler(echo)).start().await;
    let mut h2 = world.client.h2(ALPHA).await;
    let (feed, body) = fed();
    let request =
        Request::post("https://api.alpha.test/Service/Talk").header("te", "trailers").body(body).unwrap();
    let mut answer = h2.send(request).await.unwrap().into_body();
    for number in 0..20_u8 {
        let message = [0, 0, 0, 0, 1, number];
        assert!(feed.send(message.to_vec()).await);
        assert_eq!(data(&mut answer).await, message.as_slice());
    }
    drop(feed);
    let trailers = soon("trailers", answer.frame()).await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn a_chunk_of_an_upload_arrives_before_the_next_is_sent() {
    let (sender, mut arrived) = mpsc::unbounded_channel();
    let reply = move |request: Request<Incoming>| {
        let sender = sender.clone();
        async move {
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                let _ = sender.send(frame.into_data().unwrap());
            }
            Response::new(full("done"))
        }
    };
    let world = World::builder().origin(|plan| plan.handler(reply)).start().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send("POST / HTTP/1.1\r\nHost: api.alpha.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for number in 0..20 {
        wire.send(format!("2\r\n{number:02}\r\n")).await;
        assert_eq!(soon("a chunk", arrived.recv()).await.unwrap(), format!("{number:02}"));
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.answer().await.expect(200).text(), "done");
}

#[tokio::test]
async fn a_response_head_passes_before_its_body_exists() {
    let (world, feed) = fed_world("text/plain").await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::get("/").bytes(ALPHA)).await;
    wire.head().await.expect(200);
    assert!(feed.send("x").await);
    assert_eq!(wire.chunk().await.unwrap(), b"x");
}

#[tokio::test]
async fn a_large_body_passes_byte_for_byte_both_ways() {
    let world = World::builder().origin(|plan| plan.handler(echo)).start().await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let answer = match version {
            Version::HTTP_11 => {
                let wire = world.client.h1(ALPHA).await;
                let ask = Ask::new(http::Method::POST, "/").body(body.clone());
                large_h1(wire, &ask.bytes(ALPHA)).await
            }
            _ => {
                world.ask(version, &Ask::new(http::Method::POST, "/").body(body.clone())).await.body.to_vec()
            }
        };
        assert!(answer == body, "{version:?}: {} bytes came back", answer.len());
    }
}

/// Sends while it reads, since the server answers while it is asked.
async fn large_h1(wire: crate::support::wire::Wire, request: &[u8]) -> Vec<u8> {
    let (read, mut write) = tokio::io::split(wire.into_stream());
    let mut reader = crate::support::wire::Wire::new(tokio::io::join(read, tokio::io::sink()));
    let sending = async { tokio::io::AsyncWriteExt::write_all(&mut write, request).await.unwrap() };
    let (answer, ()) = tokio::join!(reader.answer(), sending);
    answer.expect(200).body.to_vec()
}
