//! Connections: what the vault's records mean, and everything that makes, shows and ends them.

mod authority;
pub mod binding;
mod builder;
mod clients;
mod definitions;
mod ending;
mod error;
mod export;
mod flows;
mod import;
mod listing;
mod login;
mod provided;
pub mod record;
mod refresh;
#[cfg(test)]
mod scripted;
mod session;
mod snapshot;
mod token_endpoint;

use std::sync::Arc;

use arc_swap::ArcSwap;
use authsome_providers::{Provider, ProviderDefinition};

use crate::clock::Clock;
use crate::home::{Home, Profile, ProfileMetadata};
use crate::vault::{Backend, Change, Vault};
pub use builder::Builder;
use builder::Store;
pub use clients::ClientCredentials;
pub use definitions::{Broken, Definitions};
pub use ending::{Removed, Revoked};

pub use error::{Cause, Error};
pub use export::{ExportFormat, Exported};
pub(crate) use flows::DENIED;
pub use import::{Left, TakenOver};
pub use listing::{ListedConnection, ListedProvider, ProviderStanding};
pub use login::Login;
pub use provided::{CONNECTION as PROVIDED_CONNECTION, ProvidedKey, ProvidedKeys, without_line_end};
use record::Keys;
pub use refresh::Renewal;
pub use session::{Challenge, LoggedIn, LoginSession, Progress};
pub use snapshot::{Connection, Snapshot, Unreadable};
use token_endpoint::TokenEndpoint;
pub(crate) use token_endpoint::{Https, OnDemand};

/// Is told of each refresh: the connection, and why it failed if it did.
pub(crate) type Observer = Arc<dyn Fn(&record::ConnectionRecord, Option<&str>) + Send + Sync>;

/// The connections of one profile.
pub struct AuthService {
    home: Home,
    profile: Profile,
    clock: Arc<dyn Clock>,
    store: Store,
    definitions: ArcSwap<Definitions>,
    fixed_definitions: bool,
    provided: ProvidedKeys,
    network: Arc<dyn TokenEndpoint>,
    observer: Option<Observer>,
    /// The port of the redirect URI.
    callback_port: u16,
    /// A token is renewed so many seconds before its end.
    refresh_window: i64,
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

    /// The provider that a person means by a name or an alias. What is known by that name, be it by a broken file or by
    /// what is left of it in the vault, is meant before any alias.
    pub fn meant_by(&self, name: &str) -> String {
        let definitions = self.definitions();
        let Some(provider) = definitions.registry.resolve(name) else { return name.to_owned() };
        let own = provider.definition.name();
        let left = || self.names_in_store(&self.keys().of_provider(name)).is_ok_and(|keys| !keys.is_empty());
        if own == name || left() { name.to_owned() } else { own.to_owned() }
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
        if !force && self.definitions().registry.resolve(definition.name()).is_some() {
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
        let change = Change::put(metadata_key, record::encode(&metadata));
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

    fn network(&self) -> &dyn TokenEndpoint {
        &*self.network
    }

    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    fn keys(&self) -> Keys<'_> {
        Keys { profile: self.profile.name() }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.unix_seconds()
    }
}

#[cfg(test)]
mod tests;
