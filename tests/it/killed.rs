//! Rule 27: `kill -9` costs at most the command that it hits.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use http::Version;

use crate::support::client::Ask;
use crate::support::definition::key_of;
use crate::support::world::World;

/// Starts a command, gives it its input, and kills it after a while, wherever it is by then.
fn kill(world: &World, arguments: &[&str], input: &str, after: Duration) {
    let mut command = world.home.command();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_login_that_is_killed_leaves_the_old_key_or_the_new_one_and_a_proxy_that_uses_it() {
    let world = World::new().await;
    let mut stored = key_of("alpha");
    for step in 0..24 {
        let new = format!("sk-alpha-killed-{step}");
        kill(&world, &["login", "alpha", "--stdin", "--force"], &new, Duration::from_millis(2 * step));
        let found = world.home.ok(&["get", "alpha", "--field", "api_key", "--show-secret"]);
        let found = found.trim();
        assert!(found == stored || found == new, "{found} is neither {stored} nor {new}");
        world.ask(Version::HTTP_11, &Ask::get("/")).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values("authorization"), [format!("Bearer {found}")]);
        stored = found.to_owned();
    }
    world.home.login_with(&["login", "alpha", "--stdin", "--force"], "sk-alpha-last");
}
