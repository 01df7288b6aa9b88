//! Access tokens that end while a proxy uses them.

use std::time::Duration;

use authsome::ConnectionStatus;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::support::account;
use super::support::client::Ask;
use super::support::issuer::{Fault, HOST, Issuer};
use super::support::origin::Plan;
use super::support::streams::{AnyBody, full};
use super::support::world::{ALPHA, World};
use super::support::{soon, until};

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// A world whose `alpha` has a token of an issuer that ends in so many seconds.
async fn world(ends_in: i64, plan: impl FnOnce(Plan) -> Plan) -> (World, Issuer) {
    let builder = World::empty();
    let issuer = Issuer::start(builder.authority()).await;
    account::connect(builder.home(), &issuer, ends_in);
    let world = builder.found_at(&format!("{HOST}:443"), issuer.address).origin(plan).start().await;
    (world, issuer)
}

fn plain(plan: Plan) -> Plan {
    plan
}

/// What reached the server in `Authorization`, in order.
fn bearers(world: &World) -> Vec<String> {
    let requests = world.origin.requests();
    requests.iter().flat_map(|seen| seen.values("authorization")).collect()
}

/// A server that takes any token but the first one.
fn picky(plan: Plan) -> Plan {
    plan.handler(|request: Request<Incoming>| async move {
        let first = request.headers().get("authorization").is_some_and(|value| value == "Bearer at-canary-0");
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        if first { refusal() } else { Response::new(full(body)) }
    })
}

fn refusal() -> Response<AnyBody> {
    let response =
        Response::builder().status(401).header("www-authenticate", "Bearer error=\"invalid_token\"");
    response.body(full("no")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_has_ended_is_renewed_once_for_all_who_wait() {
    let (world, issuer) = world(-1, plain).await;
    issuer.hold(true);
    let asks = (0..50).map(|index| {
        let client = world.client.clone();
        tokio::spawn(async move { client.ask(VERSIONS[index % 2], ALPHA, &Ask::get("/")).await })
    });
    let asks: Vec<_> = asks.collect();
    issuer.asked(1).await;
    issuer.hold(false);
    for ask in asks {
        assert_eq!(ask.await.unwrap().status, StatusCode::OK);
    }
    let token = account::record(&world.home).access_token.unwrap();
    let bearers = bearers(&world);
    assert!(bearers.iter().all(|bearer| *bearer == format!("Bearer {}", token.expose())), "{bearers:?}");
    assert_eq!((bearers.len(), issuer.counts().refreshes), (50, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_still_good_is_used_while_it_is_renewed_behind_and_while_the_server_is_down() {
    let (world, issuer) = world(100, plain).await;
    issuer.fail([Fault::Say(503, "text/plain", String::new())]);
    for version in VERSIONS {
        assert_eq!(world.ask(version, &Ask::get("/")).await.status, StatusCode::OK);
    }
    world.home.audited("refresh", |event| event["outcome"] == "failed").await;
    assert_eq!(world.ask(Version::HTTP_11, &Ask::get("/")).await.status, StatusCode::OK);
    assert_eq!(bearers(&world), ["Bearer at-canary-0"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_in_use_is_renewed_ahead_of_its_end_and_one_that_is_not_is_left_alone() {
    let (world, issuer) = world(100, plain).await;
    assert_eq!(issuer.counts().refreshes, 0, "nothing was asked for yet");
    assert_eq!(world.ask(Version::HTTP_11, &Ask::get("/")).await.status, StatusCode::OK);
    world.home.audited("refresh", |event| event["outcome"] == "ok").await;
    let token = account::record(&world.home).access_token.unwrap();
    assert_eq!(world.ask(Version::HTTP_11, &Ask::get("/")).await.status, StatusCode::OK);
    assert_eq!(bearers(&world), ["Bearer at-canary-0".to_owned(), format!("Bearer {}", token.expose())]);
    assert_eq!(issuer.counts().refreshes, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_used_is_renewed_when_its_time_comes_without_a_further_request() {
    let (world, issuer) = world(302, plain).await;
    assert_eq!(world.ask(Version::HTTP_11, &Ask::get("/")).await.status, StatusCode::OK);
    assert_eq!(issuer.counts().refreshes, 0, "it is not due for two seconds");
    world.home.audited("refresh", |event| event["outcome"] == "ok").await;
    assert_eq!(issuer.counts().refreshes, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_has_ended_and_cannot_be_renewed_is_a_refusal_that_says_what_to_do() {
    let (world, issuer) = world(-1, plain).await;
    issuer.fail([Fault::Say(503, "text/plain", String::new())]);
    let answer = world.ask(Version::HTTP_11, &Ask::get("/")).await;
    assert_eq!(answer.refusal(), (502, "refresh-failed"));
    account::connect(&world.home, &issuer, -1);
    account::edit(&world.home, |record| record.refresh_token = Some("rt-canary-gone".into()));
    let answer = world.ask(Version::HTTP_2, &Ask::get("/")).await;
    assert_eq!(answer.refusal(), (502, "refresh-failed"), "the pause after the failure goes on");
    world.origin.expect_no_request();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_is_refused_for_good_is_asked_for_once_and_named() {
    let (world, issuer) = world(-1, plain).await;
    account::edit(&world.home, |record| record.refresh_token = Some("rt-canary-gone".into()));
    for version in VERSIONS {
        let answer = world.ask(version, &Ask::get("/")).await;
        assert!(["credential-expired", "credential-unusable"].contains(&answer.refusal().1));
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(body["fix"].as_str().unwrap().contains("authsome login alpha"), "{body}");
    }
    assert_eq!(issuer.counts().refreshes, 1);
    assert_eq!(account::record(&world.home).status, ConnectionStatus::Invalid);
    world.origin.expect_no_request();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_provider_refuses_is_renewed_and_the_request_sent_once_more() {
    for version in VERSIONS {
        let (world, issuer) = world(3000, picky).await;
        let small = Ask::new(Method::POST, "/").body(vec![b'x'; 64 << 10]);
        let answer = world.ask(version, &small).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 64 << 10), "{version:?}");
        assert_eq!((issuer.counts().refreshes, bearers(&world).len()), (1, 2));
        assert_eq!(world.ask(version, &Ask::get("/")).await.status, StatusCode::OK);
        assert_eq!((issuer.counts().refreshes, bearers(&world).len()), (1, 3));
        let replayed = world.home.audited("exchange", |event| event["refresh"] == "replayed").await;
        assert_eq!(replayed["provider"], "alpha");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_body_is_too_large_to_keep_gets_the_refusal_itself() {
    for version in VERSIONS {
        let (world, issuer) = world(3000, picky).await;
        let large = Ask::new(Method::POST, "/").body(vec![b'x'; (64 << 10) + 1]);
        let answer = world.ask(version, &large).await;
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::UNAUTHORIZED, &Bytes::from("no")),
            "{version:?}"
        );
        assert_eq!((issuer.counts().refreshes, bearers(&world).len()), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_refuses_every_token_costs_one_refresh() {
    let (world, issuer) = world(3000, |plan| plan.handler(|_| async { refusal() })).await;
    for _ in 0..5 {
        let answer = world.ask(Version::HTTP_11, &Ask::get("/")).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::UNAUTHORIZED, &Bytes::from("no")));
    }
    assert_eq!(issuer.counts().refreshes, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_without_a_challenge_is_passed_on() {
    let bare = |_| async { Response::builder().status(401).body(full("no")).unwrap() };
    let (world, issuer) = world(3000, |plan| plan.handler(bare)).await;
    assert_eq!(world.ask(Version::HTTP_11, &Ask::get("/")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(issuer.counts().refreshes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_loses_no_refresh() {
    let (world, issuer) = world(-1, plain).await;
    issuer.hold(true);
    let client = world.client.clone();
    let ask = tokio::spawn(async move { client.ask(Version::HTTP_11, ALPHA, &Ask::get("/")).await });
    issuer.asked(1).await;
    ask.abort();
    let _ = ask.await;
    issuer.hold(false);
    world.home.audited("refresh", |event| event["outcome"] == "ok").await;
    assert!(issuer.is_live(account::record(&world.home).refresh_token.unwrap().expose()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_stopped_stores_the_token_it_is_waiting_for() {
    let (world, issuer) = world(-1, plain).await;
    issuer.hold(true);
    let client = world.client.clone();
    let ask = tokio::spawn(async move { client.ask(Version::HTTP_11, ALPHA, &Ask::get("/")).await });
    issuer.asked(1).await;
    world.proxy.signal(nix::sys::signal::Signal::SIGTERM);
    ask.abort();
    issuer.hold(false);
    let home = world.home;
    until("the renewed token", || {
        issuer.is_live(account::record(&home).refresh_token.unwrap().expose())
            && issuer.counts().refreshes == 1
    })
    .await;
    let mut proxy = world.proxy;
    assert!(soon("the proxy's end", proxy.ended()).await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_during_a_refresh_counts() {
    let (world, issuer) = world(-1, plain).await;
    issuer.hold(true);
    let client = world.client.clone();
    let ask = tokio::spawn(async move { client.ask(Version::HTTP_11, ALPHA, &Ask::get("/")).await });
    issuer.asked(1).await;
    world.home.ok(&["logout", "alpha"]);
    issuer.hold(false);
    let answer = ask.await.unwrap();
    assert_eq!(answer.refusal(), (401, "not-connected"));
    assert!(!world.home.run(&["get", "alpha"]).status.success());
    world.origin.expect_no_request();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_made_elsewhere_counts_at_the_next_request() {
    let (world, _issuer) = world(3000, plain).await;
    let mut wire = world.client.h1(ALPHA).await;
    assert_eq!(wire.ask(Ask::get("/").bytes(ALPHA)).await.status, StatusCode::OK);
    account::edit(&world.home, |record| record.access_token = Some("at-canary-elsewhere".into()));
    assert_eq!(wire.ask(Ask::get("/").bytes(ALPHA)).await.status, StatusCode::OK);
    assert_eq!(bearers(&world), ["Bearer at-canary-0", "Bearer at-canary-elsewhere"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_refresh_are_in_no_log_and_the_refresh_token_goes_to_the_issuer_alone() {
    let builder = World::empty().verbose();
    let issuer = Issuer::start(builder.authority()).await;
    account::connect(builder.home(), &issuer, -1);
    let world = builder.found_at(&format!("{HOST}:443"), issuer.address).start().await;
    assert_eq!(world.ask(Version::HTTP_11, &Ask::get("/")).await.status, StatusCode::OK);
    let seen = format!("{:?}", world.origin.requests());
    assert!(!seen.contains("rt-canary"), "{seen}");
    let home = world.home;
    let (_, output) = tokio::time::timeout(Duration::from_secs(20), world.proxy.stop()).await.unwrap();
    let log = std::fs::read_to_string(home.path().join("logs/authsome.log")).unwrap_or_default();
    let audit = std::fs::read_to_string(home.audit_file()).unwrap();
    for text in [&output, &log, &audit] {
        assert!(!text.contains("canary"), "{text}");
    }
}
