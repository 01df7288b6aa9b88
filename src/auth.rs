//! Connections: what the vault's records mean, and everything that makes, shows and ends them.

pub mod binding;
mod definitions;
mod ending;
mod error;
mod export;
mod listing;
mod login;
mod provided;
pub mod record;
mod snapshot;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use authsome_providers::{Provider, ProviderDefinition, Registry};

use crate::clock::{Clock, SystemClock};
use crate::home::{Home, Profile, ProfileMetadata};
use crate::vault::{Backend, MasterKey, MasterKeySource, SqliteBackend, Vault};
pub use definitions::{Broken, Definitions};
pub use ending::Removed;
pub use error::{Cause, Error};
pub use export::Exported;
pub use listing::{ListedConnection, ListedProvider, ProviderStanding};
pub use login::Login;
pub use provided::{CONNECTION as PROVIDED_CONNECTION, ProvidedKey, ProvidedKeys, without_line_end};
use record::Keys;
pub use snapshot::{Connection, Snapshot, Unreadable};

/// The connections of one profile.
pub struct AuthService {
    home: Home,
    profile: Profile,
    clock: Arc<dyn Clock>,
    store: Store,
    definitions: ArcSwap<Definitions>,
    fixed_definitions: bool,
    provided: ProvidedKeys,
}

/// The vault, or why there is none. Definitions can be shown without it.
enum Store {
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

    /// Opens home, profile and vault. A vault that does not open is no error here: definitions can be
    /// shown without it, and whatever needs it says why there is none.
    ///
    /// # Errors
    /// When the home cannot be used, or there is no such profile.
    pub fn build(self) -> Result<AuthService, Error> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let path = self.home.ok_or_else(|| Error::Usage("no home is given".to_owned()))?;
        let home = Home::open(&path, &*clock)?;
        let name = match self.profile {
            Some(name) => name,
            None => home.settings()?.default_profile,
        };
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
        Ok(AuthService {
            home,
            profile,
            clock,
            store,
            definitions,
            fixed_definitions,
            provided: self.provided,
        })
    }
}

impl AuthService {
    /// Begins with nothing chosen.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The vault.
    ///
    /// # Errors
    /// Why it could not be opened.
    pub fn vault(&self) -> Result<&Arc<Vault>, Error> {
        match &self.store {
            Store::Open(vault) => Ok(vault),
            Store::Sealed { cause, .. } => Err(Error::EncryptionUnavailable(cause.clone().into())),
            Store::Unavailable(cause) => Err(Error::StoreUnavailable(cause.clone().into())),
        }
    }

    /// Opens every record of the vault and returns how many there are.
    ///
    /// # Errors
    /// The first thing that is wrong with the vault.
    pub fn check_vault(&self) -> Result<usize, Error> {
        Ok(self.vault()?.verify()?)
    }

    /// The definitions in force.
    pub fn definitions(&self) -> Arc<Definitions> {
        self.definitions.load_full()
    }

    /// Reads the files in `providers/` again if any has changed; says whether one has.
    ///
    /// # Errors
    /// When the folder cannot be read. The definitions stay as they were then.
    pub fn reload_definitions(&self) -> Result<bool, Error> {
        let folder = self.home.providers_folder();
        if self.fixed_definitions || self.definitions.load().is_current(&folder)? {
            return Ok(false);
        }
        self.definitions.store(Arc::new(Definitions::load(&folder)?));
        Ok(true)
    }

    /// The provider of a name.
    ///
    /// # Errors
    /// [`Error::ProviderNotFound`], with names near it.
    pub fn provider(&self, name: &str) -> Result<Provider, Error> {
        self.definitions().provider(name).cloned()
    }

    /// Validates the text of a definition that stands in `file`, and stores nothing.
    ///
    /// # Errors
    /// [`Error::InvalidProviderSchema`], with the field that failed.
    pub fn parse_definition(&self, file: &str, text: &str) -> Result<ProviderDefinition, Error> {
        definitions::parse(file, text)
    }

    /// Stores a definition as it was written. Without `force`, none of its name may exist.
    ///
    /// # Errors
    /// When it is refused, one of its name exists, or it cannot be written.
    pub fn register_provider(
        &self,
        file: &str,
        text: &str,
        force: bool,
    ) -> Result<ProviderDefinition, Error> {
        let definition = definitions::parse(file, text)?;
        if !force && self.definitions().registry.provider(definition.name()).is_some() {
            return Err(Error::ProviderExists(definition.name().to_owned()));
        }
        definitions::store(&self.home.providers_folder(), &definition, text, force)?;
        self.definitions_changed()?;
        Ok(definition)
    }

    /// Makes a connection the one that is used when none is named.
    ///
    /// # Errors
    /// When there is no such connection, or the vault cannot be written.
    pub fn set_default_connection(&self, provider: &str, name: &str) -> Result<(), Error> {
        self.definitions().provider(provider)?;
        let vault = self.vault()?;
        let exclusive = vault.exclusive()?;
        let key = self.keys().connection(provider, name);
        if !vault.list(&key)?.contains(&key) {
            return Err(self.missing(provider, Some(name))?);
        }
        let (metadata_key, mut metadata) = self.metadata(provider, true)?;
        metadata.add(name);
        metadata.default_connection = Some(name.to_owned());
        let change = crate::vault::Change::put(metadata_key, record::encode(&metadata));
        login::apply(&exclusive, vec![change]).map(drop)
    }

    /// All profiles of the home, by name.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn list_profiles(&self) -> Result<Vec<ProfileMetadata>, Error> {
        let names = self.home.profiles()?;
        names.iter().map(|name| Ok(self.home.profile(name)?.metadata()?)).collect()
    }

    /// Creates a profile.
    ///
    /// # Errors
    /// When the name is malformed or taken, or the home cannot be written.
    pub fn create_profile(&self, name: &str, description: Option<&str>) -> Result<ProfileMetadata, Error> {
        Ok(self.home.create_profile(name, description, &*self.clock)?.metadata()?)
    }

    /// Keys of the store, which are no secret, so that they are found even where the records are sealed.
    fn names_in_store(&self, prefix: &str) -> Result<Vec<String>, Error> {
        match &self.store {
            Store::Open(vault) => Ok(vault.list(prefix)?),
            Store::Sealed { names, .. } => Ok(names.list(prefix)?),
            Store::Unavailable(cause) => Err(Error::StoreUnavailable(cause.clone().into())),
        }
    }

    /// Tells running proxies at once, which else would look within a second.
    fn definitions_changed(&self) -> Result<(), Error> {
        self.reload_definitions()?;
        if let Store::Open(vault) = &self.store {
            vault.apply(Vec::new())?;
        }
        Ok(())
    }

    fn provided_key(&self, provider: &str) -> Option<&ProvidedKey> {
        self.provided.of(provider)
    }

    fn keys(&self) -> Keys<'_> {
        Keys { profile: self.profile.name() }
    }

    fn now(&self) -> i64 {
        self.clock.unix_seconds()
    }
}

fn open_store(home: &Home, profile: &Profile, source: &MasterKeySource) -> Store {
    let opened = MasterKey::load(source, home)
        .map_err(Error::from)
        .and_then(|master| Ok(Vault::open(profile, &master)?));
    match opened {
        Ok(vault) => Store::Open(Arc::new(vault)),
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
struct SharedCause(Arc<dyn std::error::Error + Send + Sync>);

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

#[cfg(test)]
mod tests;
