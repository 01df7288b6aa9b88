//! The one check in front of every entry.

use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;

use super::Ends;
use crate::proxy::error::Error;
use crate::proxy::headers;
use crate::secret::Secret;

/// How a caller proves that it may use the proxy.
#[derive(Debug)]
pub(crate) struct Admission {
    token: Secret<String>,
    /// Under `run`: the token counts from our own user only, and a descendant needs none.
    run: bool,
    warned: AtomicBool,
}

impl Admission {
    /// For `run`: the token from this user's processes, or a socket owned by a descendant of this process.
    pub(crate) fn run(token: Secret<String>) -> Self {
        Self { token, run: true, warned: AtomicBool::new(false) }
    }

    /// For the service: the token.
    pub(crate) fn service(token: Secret<String>) -> Self {
        Self { token, run: false, warned: AtomicBool::new(false) }
    }

    /// Admits a caller, or answers 407.
    pub(crate) async fn admit(&self, headers: &HeaderMap, ends: Ends) -> Result<(), Error> {
        let admitted = match headers::proxy_token(headers).map(Secret::new) {
            Some(token) if self.token.matches(token.expose()) => !self.run || owner_is_us(ends).await,
            Some(_) => false,
            None => self.run && is_descendant(ends).await,
        };
        if admitted {
            return Ok(());
        }
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(client = %ends.client, "a process without this run's token was refused");
        }
        Err(Error::ProxyAuthentication)
    }
}

#[cfg(target_os = "linux")]
async fn owner_is_us(ends: Ends) -> bool {
    super::peer::owner(ends)
        .is_some_and(|owner| owner.is_live() && owner.uid == nix::unistd::geteuid().as_raw())
}

#[cfg(target_os = "linux")]
async fn is_descendant(ends: Ends) -> bool {
    // Reading /proc blocks; it happens once for a socket of a client that cannot send a token.
    tokio::task::spawn_blocking(move || super::peer::is_descendant(ends)).await.unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
async fn owner_is_us(_ends: Ends) -> bool {
    true
}

#[cfg(not(target_os = "linux"))]
async fn is_descendant(_ends: Ends) -> bool {
    false
}
