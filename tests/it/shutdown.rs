//! The proxy ends when it is told to, and what was begun is finished.

use nix::sys::signal::Signal;

use crate::support::client::Ask;
use crate::support::world::{ALPHA, World, fed_world};

#[tokio::test]
async fn an_exchange_in_flight_is_finished_after_sigterm() {
    let (world, feed) = fed_world().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::get("/").bytes(ALPHA)).await;
    wire.head().await.expect(200);
    assert!(feed.send("first").await);
    assert_eq!(wire.chunk().await.unwrap(), b"first");
    world.proxy.signal(Signal::SIGTERM);
    let address = world.proxy.address;
    crate::support::until("the listener to close", || std::net::TcpStream::connect(address).is_err()).await;
    assert!(feed.send("second").await);
    assert_eq!(wire.chunk().await.unwrap(), b"second");
    drop(feed);
    assert!(wire.chunk().await.is_none());
}

#[tokio::test]
async fn the_proxy_ends_with_its_last_exchange() {
    let (mut world, feed) = fed_world().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.send(Ask::get("/").bytes(ALPHA)).await;
    wire.head().await.expect(200);
    world.proxy.signal(Signal::SIGTERM);
    let address = world.proxy.address;
    crate::support::until("the listener to close", || std::net::TcpStream::connect(address).is_err()).await;
    drop(feed);
    assert!(wire.chunk().await.is_none());
    drop(wire);
    let begun = std::time::Instant::now();
    assert!(world.proxy.ended().await.success());
    assert!(begun.elapsed().as_secs() < 3, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let world = World::new().await;
    let mut idle = world.client.h1(ALPHA).await;
    idle.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    let mut h2 = world.client.h2(ALPHA).await;
    h2.ask(ALPHA, &Ask::get("/")).await.expect(200);
    let begun = std::time::Instant::now();
    let (status, _) = world.proxy.stop().await;
    assert!(status.success(), "{status}");
    assert!(begun.elapsed().as_secs() < 3, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_last_exchange_is_in_the_audit_log_after_the_end() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    drop(wire);
    world.proxy.stop().await;
    assert!(world.home.audit().iter().any(|entry| entry["event"] == "exchange" && entry["status"] == 200));
}

#[tokio::test]
async fn sigkill_leaves_a_home_that_works() {
    let mut world = World::new().await;
    world.ask(http::Version::HTTP_11, &Ask::get("/")).await.expect(200);
    world.proxy.signal(Signal::SIGKILL);
    world.proxy.ended().await;
    let list = world.home.ok(&["--json", "list"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let connected =
        list["custom"].as_array().unwrap().iter().filter(|provider| provider["state"] == "connected");
    assert_eq!(connected.count(), 1, "{list}");
}
