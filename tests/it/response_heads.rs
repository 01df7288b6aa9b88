//! Rule 22, end: what of a response head is changed, and what is not.

use http::{Request, Response, Version};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::support::answer::values;
use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::{Definition, key_of};
use crate::support::streams::full;
use crate::support::world::World;

/// What is left as it is when a URL is quoted in another: letters, digits and the unreserved marks.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// A key that must be encoded in a query, and is encoded again when it is quoted in another.
const KEY: &str = "sk+a/b=c-5ca1ab1e0ddba11";

#[tokio::test]
async fn alt_svc_is_removed_and_other_fields_stay() {
    let reply = |_| async {
        let response = Response::builder().header("alt-svc", "h3=\":443\"").header("set-cookie", "a=1");
        response
            .header("set-cookie", "b=2")
            .header("content-encoding", "br")
            .header("etag", "W/\"1\"")
            .body(full("x"))
            .unwrap()
    };
    let world = World::builder().origin(|plan| plan.handler(reply)).start().await;
    for version in VERSIONS {
        let answer = world.ask(version, &Ask::get("/")).await.expect(200);
        assert_eq!(answer.header("alt-svc"), "");
        assert_eq!(values(&answer.headers, "set-cookie"), ["a=1", "b=2"]);
        assert_eq!(answer.header("content-encoding"), "br");
        assert_eq!(answer.header("etag"), "W/\"1\"");
    }
}

/// Asks a server that redirects to `to` of the query it got; gives the location that arrived.
async fn redirected(version: Version, to: fn(&str) -> String) -> String {
    let reply = move |request: Request<Incoming>| async move {
        let query = request.uri().query().unwrap().to_owned();
        let response = Response::builder().status(302).header("location", to(&query));
        response.body(full(query)).unwrap()
    };
    let world = World::empty()
        .provider(Definition::query("alpha", "api.alpha.test", "key"))
        .keys(|_| KEY.to_owned())
        .origin(|plan| plan.handler(reply))
        .start()
        .await;
    let answer = world.ask(version, &Ask::get("/?a=1&key=authsome-proxy-managed&b=2")).await.expect(302);
    let seen = world.origin.only_request();
    assert!(decoded(seen.uri.query().unwrap()).contains(&format!("key={KEY}")), "{}", seen.uri);
    assert!(decoded(answer.text()).contains(KEY), "a body was rewritten: {}", answer.text());
    answer.header("location").to_owned()
}

#[track_caller]
fn expect_redacted(location: &str) {
    assert!(!decoded(&decoded(location)).contains(KEY), "{location}");
    assert!(decoded(location).contains("authsome-proxy-managed"), "{location}");
    assert!(decoded(location).contains("a=1"), "{location}");
}

#[tokio::test]
async fn a_query_key_that_a_redirect_echoes_becomes_the_placeholder() {
    for version in VERSIONS {
        expect_redacted(&redirected(version, |query| format!("https://other.test/?{query}")).await);
        expect_redacted(&redirected(version, |query| format!("/again?{}", decoded(query))).await);
    }
}

#[tokio::test]
async fn a_query_key_in_a_url_that_is_quoted_in_another_becomes_the_placeholder() {
    for version in VERSIONS {
        let quoted =
            |query: &str| format!("https://other.test/?next={}", utf8_percent_encode(query, COMPONENT));
        expect_redacted(&redirected(version, quoted).await);
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

#[tokio::test]
async fn a_query_slot_holds_our_key_once() {
    let world = World::empty().provider(Definition::query("alpha", "api.alpha.test", "key")).start().await;
    for target in ["/", "/?", "/?a=1", "/?key=stranger", "/?key=x&a=1&key=y", "/?%6bey=x&a=1"] {
        for version in VERSIONS {
            world.ask(version, &Ask::get(target)).await.expect(200);
            let seen = world.origin.requests().pop().unwrap();
            let query = seen.uri.query().unwrap();
            let ours = format!("key={}", key_of("alpha"));
            let keys: Vec<_> =
                query.split('&').filter(|pair| !pair.starts_with("a=") && !pair.is_empty()).collect();
            assert_eq!(keys, [ours.as_str()], "{target}");
            assert_eq!(query.contains("a=1"), target.contains("a=1"), "{target}");
        }
    }
}
