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

use crate::auth::{Error, Renewal};
use crate::clock::Clock;
use crate::proxy::headers::Placeholders;
use crate::routes::{Route, Routes, Standing};
use crate::vault::GenerationReader;

mod chosen;
mod prepared;
mod renewals;
mod source;

pub(crate) use chosen::{Chosen, Connected, chosen};
#[cfg(fuzzing)]
pub(crate) use prepared::Fields;
pub(crate) use prepared::{Prepared, RenderError, Term};
use renewals::{Outcome, Renewals, Wait};
pub(crate) use source::Source;

/// The vault thread answers within this time, or the request is refused.
const VAULT_DEADLINE: Duration = Duration::from_secs(5);
/// A refresh is waited for so long; it goes on beyond that.
const REFRESH_DEADLINE: Duration = Duration::from_secs(30);
/// So many requests may wait for the vault thread.
const QUEUE: usize = 1024;

/// Why a route's credential cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("{provider} is no longer connected")]
    NotConnected { provider: Arc<str> },
    #[error("the credential of {provider} has expired")]
    Expired { provider: Arc<str> },
    #[error("the credential of {provider} has expired and cannot be renewed")]
    NotRenewed {
        provider: Arc<str>,
        #[source]
        source: Arc<Error>,
    },
    #[error("the credential of {provider} has expired, and its refresh takes too long")]
    RenewalTimeout { provider: Arc<str> },
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
            Self::NotRenewed { provider, .. } | Self::RenewalTimeout { provider } => Some(provider),
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
    /// It had ended, and was renewed.
    Renewed,
}

impl Vault {
    /// The word in the audit log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss | Self::Renewed => "miss",
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
    renewals: Arc<Renewals>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials at generation {:?}", self.rules.load().generation)
    }
}

impl Credentials {
    /// Reads the first rules and starts the vault thread, which ends when the last handle is dropped.
    pub(crate) fn start(mut source: Source, generation: GenerationReader) -> Result<Self, CredentialError> {
        let rules = source.rules(even(&generation)?)?;
        let (asks, queue) = sync_channel(QUEUE);
        let stale = AtomicBool::new(false);
        let renewals = Arc::new(Renewals::new(source.auth()));
        let (rules, clock) = (ArcSwap::from_pointee(rules), source.clock());
        let shared = Shared { rules, generation, stale, asks, clock, renewals };
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
            None => (self.read(route).await?, Vault::Miss),
        };
        let Some(term) = &prepared.term else { return Ok((prepared, vault)) };
        let now = self.0.clock.unix_seconds();
        if term.has_ended(now) {
            return Ok((self.renewed(route, term).await?, Vault::Renewed));
        }
        if term.is_due(now) {
            self.0.renewals.start_ahead(&route.provider, &route.connection);
        }
        term.use_it();
        Ok((prepared, vault))
    }

    /// The values after their token was refused by the provider: new ones, or `None` when there are none to be had.
    pub(crate) async fn after_refusal(
        &self,
        route: &Arc<Route>,
        refused: &Prepared,
    ) -> Option<Arc<Prepared>> {
        let version = refused.term.as_ref()?.version?;
        let renewal = Renewal::Refused { version };
        let wait = self.0.renewals.start(&route.provider, &route.connection, renewal)?;
        let renewed = ended(wait).await?.ok()?;
        if renewed == Some(version) {
            return None;
        }
        let prepared = self.read(route).await.ok()?;
        prepared.term.as_ref().filter(|term| term.version != Some(version))?.use_it();
        Some(prepared)
    }

    /// Waits for the refreshes under way.
    pub(crate) fn settle(&self) {
        self.0.renewals.settle();
    }

    /// The values of a connection whose token has ended, once it is renewed.
    async fn renewed(&self, route: &Arc<Route>, term: &Term) -> Result<Arc<Prepared>, CredentialError> {
        let provider = || Arc::clone(&route.provider);
        if term.due_at.is_none() {
            return Err(CredentialError::Expired { provider: provider() });
        }
        let wait = self.0.renewals.start(&route.provider, &route.connection, Renewal::WhenDue);
        let outcome = match wait {
            Some(wait) => ended(wait).await,
            None => None,
        };
        match outcome {
            Some(Ok(_)) => {}
            Some(Err(source)) => return Err(not_renewed(provider(), source)),
            None => return Err(CredentialError::RenewalTimeout { provider: provider() }),
        }
        let prepared = self.read(route).await?;
        let now = self.0.clock.unix_seconds();
        match &prepared.term {
            Some(term) if term.has_ended(now) => Err(CredentialError::Expired { provider: provider() }),
            Some(term) => {
                term.use_it();
                Ok(prepared)
            }
            None => Ok(prepared),
        }
    }

    /// Has the vault thread read and render a route's values.
    async fn read(&self, route: &Arc<Route>) -> Result<Arc<Prepared>, CredentialError> {
        self.ask(|answer| Ask::Prepare(Arc::clone(route), answer)).await
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

/// How a refresh ended; `None` when it takes too long, or its thread is gone.
async fn ended(mut wait: Wait) -> Option<Outcome> {
    let ended = tokio::time::timeout(REFRESH_DEADLINE, wait.wait_for(Option::is_some)).await.ok()?;
    ended.ok()?.clone()
}

/// What a failed refresh means for a request: the connection may be gone.
fn not_renewed(provider: Arc<str>, source: Arc<Error>) -> CredentialError {
    match &*source {
        Error::ConnectionNotFound { .. } | Error::CredentialMissing { .. } => {
            CredentialError::NotConnected { provider }
        }
        Error::TokenExpired { .. } => CredentialError::Expired { provider },
        Error::StoreUnavailable(_) | Error::EncryptionUnavailable(_) => CredentialError::Vault(source),
        _ => CredentialError::NotRenewed { provider, source },
    }
}

/// The generation when no writer is at work.
fn even(reader: &GenerationReader) -> Result<Option<u64>, CredentialError> {
    let generation = reader.current().map_err(|error| CredentialError::Vault(Arc::new(error)))?;
    Ok((generation % 2 == 0).then_some(generation))
}
