//! Rule 2: a request gets the credential of its own profile and connection, as it is now.

use http::Version;

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::{Definition, key_of};
use crate::support::run::{Run, SHELL};
use crate::support::world::{ALPHA, World, alpha_bearer};

/// What the last request carried.
fn carried(world: &World) -> Vec<String> {
    world.origin.requests().pop().unwrap().values("authorization")
}

fn bearer(key: &str) -> [String; 1] {
    [format!("Bearer {key}")]
}

fn second_connection(world: &World, key: &str) {
    world.home.login_with(&["login", "alpha", "--stdin", "--force", "--connection", "second"], key);
}

#[tokio::test]
async fn a_switch_of_the_default_connection_counts_from_the_next_request_of_an_open_tunnel() {
    let world = World::new().await;
    let (mut h1, mut h2) = (world.client.h1(ALPHA).await, world.client.h2(ALPHA).await);
    let mut expect = async |key: &str| {
        h1.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
        assert_eq!(carried(&world), bearer(key));
        h2.ask(ALPHA, &Ask::get("/")).await.expect(200);
        assert_eq!(carried(&world), bearer(key));
    };
    expect(&key_of("alpha")).await;
    second_connection(&world, "second-key");
    expect(&key_of("alpha")).await;
    world.home.ok(&["connection", "default", "alpha", "second"]);
    expect("second-key").await;
    second_connection(&world, "second-key-rotated");
    expect("second-key-rotated").await;
    world.home.ok(&["connection", "default", "alpha", "default"]);
    expect(&key_of("alpha")).await;
}

#[tokio::test]
async fn a_run_keeps_the_connection_that_it_was_told() {
    let world = World::new().await;
    second_connection(&world, "second-key");
    let run = Run::start(world.run_with(&["--connection", "alpha=second"], &SHELL));
    for default in ["default", "second", "default"] {
        world.home.ok(&["connection", "default", "alpha", default]);
        for version in VERSIONS {
            run.client().ask(version, ALPHA, &Ask::get("/")).await.expect(200);
            assert_eq!(carried(&world), bearer("second-key"));
        }
    }
    second_connection(&world, "second-key-rotated");
    run.client().ask(Version::HTTP_11, ALPHA, &Ask::get("/")).await.expect(200);
    assert_eq!(carried(&world), bearer("second-key-rotated"));
}

#[tokio::test]
async fn another_account_does_not_take_the_place_of_one_that_logged_out() {
    let world = World::new().await;
    let mut wire = world.client.h1(ALPHA).await;
    wire.ask(Ask::get("/").bytes(ALPHA)).await.expect(200);
    second_connection(&world, "second-key");
    world.home.ok(&["logout", "alpha"]);
    for switched in [false, true] {
        if switched {
            world.home.ok(&["connection", "default", "alpha", "second"]);
        }
        assert_eq!(wire.ask(Ask::get("/").bytes(ALPHA)).await.refusal(), (401, "not-connected"));
    }
    assert_eq!(world.origin.only_request().values("authorization"), [alpha_bearer()]);
}

#[tokio::test]
async fn two_profiles_with_one_provider_never_mix() {
    let world = World::builder().provider(Definition::bearer("beta", "other.test")).start().await;
    world.home.ok(&["profile", "create", "work"]);
    let work = |key: &str| {
        world.home.login_with(&["--profile", "work", "login", "alpha", "--stdin", "--force"], key);
    };
    work("work-key");
    let run = Run::start(world.run_with(&["--profile", "work"], &SHELL));
    let expect = async |here: &str, there: &str| {
        for version in VERSIONS {
            for (client, key) in [(&world.client, here), (&run.client(), there)] {
                client.ask(version, ALPHA, &Ask::get("/")).await.expect(200);
                assert_eq!(carried(&world), bearer(key));
            }
        }
    };
    expect(&key_of("alpha"), "work-key").await;
    work("work-key-rotated");
    expect(&key_of("alpha"), "work-key-rotated").await;
    world.home.login_with(&["login", "alpha", "--stdin", "--force"], "rotated");
    expect("rotated", "work-key-rotated").await;
    world.home.ok(&["--profile", "work", "logout", "alpha"]);
    world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
    assert_eq!(carried(&world), bearer("rotated"));
    let refused = run.client().ask(Version::HTTP_11, ALPHA, &Ask::get("/")).await;
    assert_eq!(refused.refusal(), (401, "not-connected"));
}
