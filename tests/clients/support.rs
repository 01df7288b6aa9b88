//! The part of the black-box tests' support that real clients need too.

#[path = "../it/support/account.rs"]
pub(crate) mod account;
#[path = "../it/support/answer.rs"]
pub(crate) mod answer;
#[path = "../it/support/authority.rs"]
pub(crate) mod authority;
#[path = "../it/support/definition.rs"]
pub(crate) mod definition;
#[path = "../it/support/home.rs"]
pub(crate) mod home;
#[path = "../it/support/issuer.rs"]
pub(crate) mod issuer;
#[path = "../it/support/login.rs"]
pub(crate) mod login;
#[path = "../it/support/origin.rs"]
pub(crate) mod origin;
#[path = "../it/support/streams.rs"]
pub(crate) mod streams;
#[path = "../it/support/tls.rs"]
pub(crate) mod tls;

use std::future::Future;
use std::time::Duration;

/// Long enough for a loaded machine, short enough to end a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

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
