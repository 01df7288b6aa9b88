//! Making an [`AuthService`]: home, profile, vault and definitions, opened in this order.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use authsome_providers::Registry;

use super::token_endpoint::{Https, OnDemand, SetupCause, TokenEndpoint};
use super::{AuthService, ClientCredentials, Definitions, Error, Observer, ProvidedKeys};
use crate::clock::{Clock, SystemClock};
use crate::dial::{Dialer, UpstreamProxies};
use crate::home::{Home, Profile};
use crate::roots;
use crate::vault::{MasterKey, MasterKeySource, SqliteBackend, Vault};

/// Fixed, because users register it with their OAuth client; another one only by `config.json`.
const CALLBACK_PORT: u16 = 7999;
/// Seconds before its end at which a token is renewed, unless `config.json` says otherwise.
const REFRESH_WINDOW: i64 = 300;

/// The vault, or why there is none. Definitions can be shown without it.
pub(super) enum Store {
    Open(Arc<Vault>),
    Sealed { names: SqliteBackend, cause: SharedCause },
    Unavailable(SharedCause),
}

/// Makes an [`AuthService`].
#[derive(Default)]
pub struct Builder {
    home: Option<PathBuf>,
    profile: Option<String>,
    master_key: Option<MasterKeySource>,
    vault: Option<Arc<Vault>>,
    registry: Option<Registry>,
    clock: Option<Arc<dyn Clock>>,
    provided: ProvidedKeys,
    network: Option<Arc<dyn TokenEndpoint>>,
    clients: Vec<(String, ClientCredentials)>,
    observer: Option<Observer>,
}

impl Builder {
    /// The home's folder, which is created when missing. Required.
    #[must_use]
    pub fn home(mut self, path: impl Into<PathBuf>) -> Self {
        self.home = Some(path.into());
        self
    }

    /// The profile; the home's default when none is named.
    #[must_use]
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into());
        self
    }

    /// Where the master key comes from; `master.key` when nothing is said.
    #[must_use]
    pub fn master_key(mut self, source: MasterKeySource) -> Self {
        self.master_key = Some(source);
        self
    }

    /// A vault in the place of the profile's own.
    #[must_use]
    pub fn vault(mut self, vault: Arc<Vault>) -> Self {
        self.vault = Some(vault);
        self
    }

    /// Definitions in the place of the bundled ones and the home's.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// A clock in the place of the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Keys that the environment provides.
    #[must_use]
    pub fn provided_keys(mut self, keys: ProvidedKeys) -> Self {
        self.provided = keys;
        self
    }

    /// OAuth clients by provider, which are stored unless the vault has one already.
    #[must_use]
    pub fn clients(mut self, clients: impl IntoIterator<Item = (String, ClientCredentials)>) -> Self {
        self.clients.extend(clients);
        self
    }

    /// What carries requests to authorization servers.
    #[must_use]
    pub(crate) fn network(mut self, network: Arc<dyn TokenEndpoint>) -> Self {
        self.network = Some(network);
        self
    }

    /// Who is told of each refresh.
    #[must_use]
    pub(crate) fn observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Opens home, profile and vault. A vault that does not open is no error here: definitions can be
    /// shown without it, and whatever needs it says why there is none.
    ///
    /// # Errors
    /// When the home cannot be used, or there is no such profile.
    pub fn build(self) -> Result<AuthService, Error> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let path = self.home.ok_or_else(|| Error::Usage("no home is given".to_owned()))?;
        let home = Home::open(&path, &*clock)?;
        let settings = home.settings()?;
        let name = self.profile.unwrap_or(settings.default_profile);
        let profile = home.profile(&name)?;
        let store = match self.vault {
            Some(vault) => Store::Open(vault),
            None => open_store(&home, &profile, &self.master_key.unwrap_or(MasterKeySource::File)),
        };
        let fixed_definitions = self.registry.is_some();
        let definitions = match self.registry {
            Some(registry) => Definitions::fixed(registry),
            None => Definitions::load(&home.providers_folder())?,
        };
        let definitions = ArcSwap::from_pointee(definitions);
        let auth = AuthService {
            home,
            profile,
            clock,
            store,
            definitions,
            fixed_definitions,
            provided: self.provided,
            observer: self.observer,
            network: self.network.unwrap_or_else(|| Arc::new(OnDemand::new(direct))),
            callback_port: settings.callback_port.unwrap_or(CALLBACK_PORT),
            refresh_window: settings.refresh_window.map_or(REFRESH_WINDOW, i64::from),
        };
        for (provider, client) in &self.clients {
            if auth.client(provider)?.is_none() {
                auth.set_client(provider, client)?;
            }
        }
        Ok(auth)
    }
}

/// Connections to the public internet, verified by the bundled roots and the system's.
fn direct() -> Result<Https, SetupCause> {
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let dial = Dialer::new(own, Vec::new(), UpstreamProxies::default());
    let tls = roots::client_config(&[]).map_err(|error| Arc::new(error) as SetupCause)?;
    Ok(Https::new(Arc::new(dial), &tls))
}

fn open_store(home: &Home, profile: &Profile, source: &MasterKeySource) -> Store {
    let opened = MasterKey::load(source, home)
        .map_err(Error::from)
        .and_then(|master| Ok(Vault::open(profile, &master)?));
    match opened {
        Ok(vault) => {
            let (source, home) = (source.clone(), home.clone());
            vault.renew_by(move || source.renewed(&home));
            Store::Open(Arc::new(vault))
        }
        Err(Error::EncryptionUnavailable(cause)) => match SqliteBackend::open(&profile.store()) {
            Ok(names) => Store::Sealed { names, cause: SharedCause(cause.into()) },
            Err(error) => Store::Unavailable(SharedCause(Arc::new(error))),
        },
        Err(Error::StoreUnavailable(cause)) => Store::Unavailable(SharedCause(cause.into())),
        Err(error) => Store::Unavailable(SharedCause(Arc::new(error))),
    }
}

/// A cause that is told whenever it is in the way.
#[derive(Debug, Clone)]
pub(super) struct SharedCause(Arc<dyn std::error::Error + Send + Sync>);

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedCause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
