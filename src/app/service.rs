//! `authsome proxy`: the same engine as a service.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{App, Parts, RoutingOptions, authority, token};
use crate::audit::Audit;
use crate::home::{Home, files};
use crate::proxy::listener::Admission;
use crate::run::child::Signals;
use crate::secret::Secret;

/// After SIGTERM, exchanges in progress get this long.
const DRAIN: Duration = Duration::from_secs(10);
const MAX_TOKEN: u64 = 4096;
/// 256 bits in letters and digits.
const MIN_TOKEN: usize = 43;

/// The flags of `proxy`.
#[derive(Debug, Clone)]
pub(crate) struct ServiceOptions {
    pub(crate) routing: RoutingOptions,
    /// `--listen`
    pub(crate) listen: SocketAddr,
    /// `--token-file`
    pub(crate) token_file: Option<PathBuf>,
}

/// A service that accepts connections.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) token_file: PathBuf,
}

impl App {
    /// Serves until SIGTERM or SIGINT. `ready` is called once, when connections are accepted.
    pub(crate) fn proxy(
        &self,
        options: &ServiceOptions,
        ready: impl FnOnce(&Listening) -> Result<()>,
    ) -> Result<()> {
        let signals = Signals::take()?;
        let home = self.home()?;
        let (token, token_file) = service_token(&home, options)?;
        let listener = TcpListener::bind(options.listen)
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        let auth = self.auth()?;
        let ca = authority::of_home(&home, &self.permitted(&auth)?, &*self.clock)?;
        let audit = Audit::open(&home, self.clock.clone())?;
        let parts = Parts { auth, ca, admission: Admission::service(token), audit: audit.clone() };
        let proxy = self.start(listener, parts, &options.routing)?;
        ready(&Listening { address: proxy.address(), token_file })?;
        let signal = signals.wait_for_end(|| proxy.reload())?;
        tracing::info!(%signal, "draining");
        proxy.shutdown(DRAIN);
        audit.flush()?;
        Ok(())
    }
}

/// The token that clients send. On loopback it is made on first start; elsewhere it must be there.
fn service_token(home: &Home, options: &ServiceOptions) -> Result<(Secret<String>, PathBuf)> {
    let path = options.token_file.clone().unwrap_or_else(|| home.proxy_token());
    if !options.listen.ip().is_loopback() && !path.exists() {
        bail!(
            "a listener beyond loopback needs a token: write one into {} (mode 0600), or name it with --token-file",
            path.display()
        );
    }
    if !path.exists() {
        files::create(&path, token()?.expose().as_bytes())?;
    }
    let content = files::read_private(&path, MAX_TOKEN)?.context("the token file is gone")?;
    let text = std::str::from_utf8(&content).context("the token is not text")?.trim();
    let strong = text.len() >= MIN_TOKEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !strong {
        bail!("{} must hold at least {MIN_TOKEN} letters and digits", path.display());
    }
    Ok((text.into(), path))
}
