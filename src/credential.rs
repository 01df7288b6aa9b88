//! From a route to the values that are placed in a request: prepared once, kept until the vault changes.
//!
//! Requests never touch SQLite. They compare the profile's generation with the one of the rules at hand
//! (one `pread`), and ask the vault thread only when it moved or when a credential was not prepared yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::proxy::headers::Placeholders;
use crate::routes::{Route, Routes, Standing};
use crate::vault::GenerationReader;

mod prepared;
mod source;

#[cfg(fuzzing)]
pub(crate) use prepared::Fields;
pub(crate) use prepared::{Prepared, RenderError};
pub(crate) use source::{Chosen, Connected, Source, chosen};

/// The vault thread answers within this time, or the request is refused.
const VAULT_DEADLINE: Duration = Duration::from_secs(5);
/// So many requests may wait for the vault thread.
const QUEUE: usize = 1024;

/// Why a route's credential cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("{provider} is no longer connected")]
    NotConnected { provider: Arc<str> },
    #[error("the credential of {provider} has expired")]
    Expired { provider: Arc<str> },
    #[error("the definition of {provider} asks for more than its credential was stored for")]
    BindingChanged { provider: Arc<str> },
    #[error("the credential of {provider} cannot be used: {reason}")]
    Unusable { provider: Arc<str>, reason: String },
    #[error("the vault cannot be read")]
    Vault(#[source] Arc<dyn std::error::Error + Send + Sync>),
    #[error("the vault did not answer within {} seconds", VAULT_DEADLINE.as_secs())]
    VaultTimeout,
    #[error("too many requests wait for the vault")]
    VaultBusy,
    #[error("the vault is closed")]
    VaultStopped,
}

impl CredentialError {
    /// The provider that the failure concerns.
    pub(crate) fn provider(&self) -> Option<&str> {
        match self {
            Self::NotConnected { provider } | Self::Expired { provider } => Some(provider),
            Self::BindingChanged { provider } | Self::Unusable { provider, .. } => Some(provider),
            Self::Vault(_) | Self::VaultTimeout | Self::VaultBusy | Self::VaultStopped => None,
        }
    }
}

/// What the vault and the definitions said at one generation.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The even generation at which they were read; `None` when a writer was at work, so that nobody keeps them.
    pub(crate) generation: Option<u64>,
    pub(crate) routes: Routes,
    pub(crate) placeholders: Placeholders,
}

/// Whether a credential was at hand, for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vault {
    Hit,
    Miss,
}

impl Vault {
    /// The word in the audit log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

/// Asks of the vault thread.
enum Ask {
    Rules(oneshot::Sender<Result<Arc<Rules>, CredentialError>>),
    Prepare(Arc<Route>, oneshot::Sender<Result<Arc<Prepared>, CredentialError>>),
}

/// The credentials of one profile, shared by all workers.
#[derive(Debug, Clone)]
pub(crate) struct Credentials(Arc<Shared>);

struct Shared {
    rules: ArcSwap<Rules>,
    generation: GenerationReader,
    /// Set by the vault thread when hand-edited files made the rules stale.
    stale: AtomicBool,
    asks: SyncSender<Ask>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials at generation {:?}", self.rules.load().generation)
    }
}

impl Credentials {
    /// Reads the first rules and starts the vault thread, which ends when the last handle is dropped.
    pub(crate) fn start(
        mut source: Source,
        generation: GenerationReader,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CredentialError> {
        let rules = source.rules(even(&generation)?)?;
        let (asks, queue) = sync_channel(QUEUE);
        let stale = AtomicBool::new(false);
        let shared = Shared { rules: ArcSwap::from_pointee(rules), generation, stale, asks, clock };
        let shared = Arc::new(shared);
        let weak = Arc::downgrade(&shared);
        let thread = std::thread::Builder::new().name("vault".into());
        let spawned = thread.spawn(move || source::serve(source, &queue, &weak));
        spawned.map_err(|error| CredentialError::Vault(Arc::new(error)))?;
        Ok(Self(shared))
    }

    /// The rules in force now.
    pub(crate) async fn current(&self) -> Result<Arc<Rules>, CredentialError> {
        let rules = self.0.rules.load_full();
        let generation = even(&self.0.generation)?;
        if generation.is_some() && generation == rules.generation && !self.0.stale.load(Ordering::Acquire) {
            return Ok(rules);
        }
        self.ask(Ask::Rules).await
    }

    /// Makes the next request read the rules again.
    pub(crate) fn forget(&self) {
        self.0.stale.store(true, Ordering::Release);
    }

    /// The rules that were read last, which may be out of date.
    pub(crate) fn at_hand(&self) -> Arc<Rules> {
        self.0.rules.load_full()
    }

    /// The values to place for a route. Never the bare request: what cannot be had is an error.
    pub(crate) async fn prepare(
        &self,
        route: &Arc<Route>,
    ) -> Result<(Arc<Prepared>, Vault), CredentialError> {
        let provider = || Arc::clone(&route.provider);
        match route.standing {
            Standing::Connected => {}
            Standing::Disconnected => return Err(CredentialError::NotConnected { provider: provider() }),
            Standing::BindingChanged => return Err(CredentialError::BindingChanged { provider: provider() }),
            Standing::Expired => return Err(CredentialError::Expired { provider: provider() }),
            Standing::Invalid => {
                let reason = "the provider rejected it".to_owned();
                return Err(CredentialError::Unusable { provider: provider(), reason });
            }
        }
        let (prepared, vault) = match route.prepared.get() {
            Some(prepared) => (Arc::clone(prepared), Vault::Hit),
            None => (self.ask(|answer| Ask::Prepare(Arc::clone(route), answer)).await?, Vault::Miss),
        };
        if prepared.expires_at.is_some_and(|at| at <= self.0.clock.unix_seconds()) {
            return Err(CredentialError::Expired { provider: provider() });
        }
        Ok((prepared, vault))
    }

    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, CredentialError>>) -> Ask,
    ) -> Result<T, CredentialError> {
        let (sender, answer) = oneshot::channel();
        self.0.asks.try_send(ask(sender)).map_err(|error| match error {
            TrySendError::Full(_) => CredentialError::VaultBusy,
            TrySendError::Disconnected(_) => CredentialError::VaultStopped,
        })?;
        let answered = tokio::time::timeout(VAULT_DEADLINE, answer).await;
        answered.map_err(|_| CredentialError::VaultTimeout)?.map_err(|_| CredentialError::VaultStopped)?
    }
}

/// The generation when no writer is at work.
fn even(reader: &GenerationReader) -> Result<Option<u64>, CredentialError> {
    let generation = reader.current().map_err(|error| CredentialError::Vault(Arc::new(error)))?;
    Ok((generation % 2 == 0).then_some(generation))
}
