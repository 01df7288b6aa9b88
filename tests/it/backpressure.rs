//! Rule 24: a slow reader never makes memory grow; a client that goes away ends the work at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::support::client::Ask;
use crate::support::soon;
use crate::support::streams::{Feed, empty, fed, full};
use crate::support::world::{ALPHA, World, fed_world};

const PIECE: usize = 16 * 1024;
/// More than all buffers on the way may hold: sockets, TLS, windows.
const BOUND: usize = 48 * 1024 * 1024;

/// Feeds until nothing is taken for a while; gives the bytes taken.
async fn fill(feed: &Feed) -> usize {
    let mut taken = 0;
    let quiet = Duration::from_millis(300);
    while let Ok(true) = tokio::time::timeout(quiet, feed.send(vec![0; PIECE])).await {
        taken += PIECE;
        assert!(taken < BOUND, "{taken} bytes taken for a reader that does not read");
    }
    taken
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_server_and_memory_stays_over_h1() {
    let (world, feed) = fed_world().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::get("/").bytes(ALPHA)).await;
    wire.head().await.expect(200);
    let resident = world.proxy.resident();
    fill(&feed).await;
    let grown = world.proxy.resident().saturating_sub(resident);
    assert!(grown < 10 * 1024, "memory grew by {grown} KiB");
    assert!(wire.chunk().await.is_some());
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_server_and_memory_stays_over_h2() {
    let (world, feed) = fed_world().await;
    let mut h2 = world.client.h2(ALPHA).await;
    let request = Request::get("https://api.alpha.test/").body(empty()).unwrap();
    let response = h2.send(request).await.unwrap();
    let resident = world.proxy.resident();
    fill(&feed).await;
    let grown = world.proxy.resident().saturating_sub(resident);
    assert!(grown < 20 * 1024, "memory grew by {grown} KiB");
    // One stalled stream does not stall the others of either connection.
    for _ in 0..5 {
        h2.ask(ALPHA, &Ask::get("/")).await.expect(200);
    }
    drop(response);
}

#[tokio::test]
async fn a_server_that_does_not_read_stops_the_upload() {
    let reply = |request: Request<Incoming>| async move {
        let _unread = request;
        std::future::pending().await
    };
    let world = World::builder().origin(|plan| plan.handler(reply)).start().await;
    let mut h2 = world.client.h2(ALPHA).await;
    let (feed, body) = fed();
    let request = Request::post("https://api.alpha.test/").body(body).unwrap();
    let resident = world.proxy.resident();
    let asking = tokio::spawn(async move { h2.send(request).await.map(drop) });
    fill(&feed).await;
    let grown = world.proxy.resident().saturating_sub(resident);
    assert!(grown < 20 * 1024, "memory grew by {grown} KiB");
    asking.abort();
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_body_cancels_the_server() {
    let (world, feed) = fed_world().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::get("/").bytes(ALPHA)).await;
    wire.head().await.expect(200);
    assert!(feed.send("x").await);
    wire.chunk().await.unwrap();
    drop(wire);
    soon("the server to be cancelled", feed.unread()).await;

    let (world, feed) = fed_world().await;
    let mut h2 = world.client.h2(ALPHA).await;
    let request = Request::get("https://api.alpha.test/").body(empty()).unwrap();
    let mut response = h2.send(request).await.unwrap();
    assert!(feed.send("x").await);
    response.frame().await.unwrap().unwrap();
    drop(response);
    soon("the stream to be reset", feed.unread()).await;
    h2.ask(ALPHA, &Ask::get("/")).await.expect(200);
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_cancels_the_server() {
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let gone = Arc::new(AtomicUsize::new(0));
    let counted = gone.clone();
    let reply = move |_| {
        let guard = Gone(counted.clone());
        async move {
            let _guard = guard;
            std::future::pending::<()>().await;
            Response::new(full("never"))
        }
    };
    let world = World::builder().origin(|plan| plan.handler(reply)).start().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::get("/").bytes(ALPHA)).await;
    world.origin.until("the h1 request", |record| record.requests.len() == 1).await;
    drop(wire);
    crate::support::until("h1 to be cancelled", || gone.load(Ordering::SeqCst) == 1).await;

    let mut h2 = world.client.h2(ALPHA).await;
    let request = Request::get("https://api.alpha.test/").body(empty()).unwrap();
    let asking = tokio::spawn(async move { h2.send(request).await.map(drop) });
    world.origin.until("the h2 request", |record| record.requests.len() == 2).await;
    asking.abort();
    crate::support::until("h2 to be cancelled", || gone.load(Ordering::SeqCst) == 2).await;
}
