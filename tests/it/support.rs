//! The world around the program: a home, servers that record, clients that say exactly what they are told.

pub(crate) mod account;
pub(crate) mod answer;
pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod definition;
pub(crate) mod disk;
pub(crate) mod frames;
pub(crate) mod home;
pub(crate) mod issuer;
pub(crate) mod login;
pub(crate) mod origin;
pub(crate) mod proxy;
pub(crate) mod run;
pub(crate) mod scripted;
pub(crate) mod slow;
pub(crate) mod streams;
pub(crate) mod tls;
pub(crate) mod wire;
pub(crate) mod world;

use std::future::Future;
use std::time::Duration;

/// Long enough for a loaded machine, short enough to end a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Awaits what must happen; says what did not.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("still waiting: {what}"))
}

/// Waits until a condition holds that nobody announces, such as a file that another process writes.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let polled = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon(what, polled).await;
}
