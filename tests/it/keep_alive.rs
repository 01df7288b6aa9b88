//! Rule 19: every request of a connection is treated alike.

use crate::support::client::Ask;
use crate::support::world::{ALPHA, World, alpha_bearer};

#[tokio::test]
async fn every_request_of_a_kept_connection_is_injected() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    for number in 0..5 {
        let ask = Ask::get(&format!("/{number}")).header("authorization", "Bearer x");
        wire.ask(ask.bytes(ALPHA)).await.expect(200);
    }
    let requests = world.origin.requests();
    assert_eq!(requests.len(), 5);
    assert!(requests.iter().all(|seen| seen.values("authorization") == [alpha_bearer()]));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_all_injected() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    let asks: Vec<u8> = (0..5)
        .flat_map(|number| Ask::new(http::Method::POST, &format!("/{number}")).body("body").bytes(ALPHA))
        .collect();
    wire.send(asks).await;
    for _ in 0..5 {
        wire.answer().await.expect(200);
    }
    let requests = world.origin.requests();
    let paths: Vec<_> = requests.iter().map(|seen| seen.uri.path()).collect();
    assert_eq!(paths, ["/0", "/1", "/2", "/3", "/4"]);
    assert!(requests.iter().all(|seen| seen.values("authorization") == [alpha_bearer()]));
}

#[tokio::test]
async fn a_pipelined_request_to_another_host_is_refused_and_ends_the_connection() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    let asks = [
        Ask::get("/1").bytes(ALPHA),
        Ask::get("/2").authority("other.test").bytes(ALPHA),
        Ask::get("/3").bytes(ALPHA),
    ];
    wire.send(asks.concat()).await;
    wire.answer().await.expect(200);
    assert_eq!(wire.answer().await.refusal(), (421, "misdirected"));
    wire.expect_end().await;
    assert_eq!(world.origin.only_request().uri.path(), "/1");
}

#[tokio::test]
async fn many_requests_of_one_h2_connection_at_once_are_all_injected() {
    let world = World::new().await;
    let h2 = world.client.h2(ALPHA).await;
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let mut h2 = h2.clone();
            tokio::spawn(async move { h2.ask(ALPHA, &Ask::get(&format!("/{number}"))).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().expect(200);
    }
    let requests = world.origin.requests();
    assert_eq!(requests.len(), 50);
    assert!(requests.iter().all(|seen| seen.values("authorization") == [alpha_bearer()]));
}

#[tokio::test]
async fn an_http_1_0_client_is_served_and_its_connection_closed() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    let answer = wire.ask("GET / HTTP/1.0\r\nHost: api.alpha.test\r\n\r\n").await.expect(200);
    assert_eq!(answer.text(), "hello");
    wire.expect_end().await;
    assert_eq!(world.origin.only_request().values("authorization"), [alpha_bearer()]);
}
