//! Ending connections: logout, revoke, remove.

use super::provided::CONNECTION as PROVIDED;
use super::record::encode;
use super::{AuthService, Error, definitions};
use crate::vault::Change;

/// What [`AuthService::remove`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// A custom definition is gone.
    Uninstalled,
    /// A bundled provider is as it was before the first login.
    Reset,
}

impl AuthService {
    /// Removes one connection from the vault; the provider is not contacted. Returns its name.
    ///
    /// # Errors
    /// When there is no such connection, or the vault cannot be written.
    pub fn logout(&self, provider: &str, connection: Option<&str>) -> Result<String, Error> {
        self.check_known(provider)?;
        let vault = self.vault()?;
        let exclusive = vault.exclusive()?;
        let (metadata_key, mut metadata) = self.metadata(provider, true)?;
        let name = match connection {
            Some(name) => name.to_owned(),
            None => metadata.default_connection.clone().ok_or_else(|| self.nothing_to_end(provider))?,
        };
        if name == PROVIDED {
            return Err(self.nothing_to_end(provider));
        }
        let key = self.keys().connection(provider, &name);
        if !vault.list(&key)?.contains(&key) {
            return Err(self.missing(provider, Some(&name))?);
        }
        metadata.remove(&name);
        let metadata = if metadata.connection_names.is_empty() {
            Change::delete(metadata_key)
        } else {
            Change::put(metadata_key, encode(&metadata))
        };
        exclusive.apply(vec![Change::delete(key), metadata])?;
        Ok(name)
    }

    /// Removes a connection, or all of them with the OAuth client. Keys cannot be revoked at their
    /// providers: that is done on the vendor's own page.
    ///
    /// # Errors
    /// When there is nothing to revoke, or the vault cannot be written.
    pub fn revoke(&self, provider: &str, connection: Option<&str>) -> Result<(), Error> {
        if connection.is_some() {
            return self.logout(provider, connection).map(drop);
        }
        self.check_known(provider)?;
        if self.delete_all(provider)? { Ok(()) } else { Err(self.nothing_to_end(provider)) }
    }

    /// Removes a custom definition, or resets a bundled provider, with all its connections.
    ///
    /// # Errors
    /// When there is no such provider, or the vault or the file cannot be changed.
    pub fn remove(&self, provider: &str) -> Result<Removed, Error> {
        let folder = self.home().providers_folder();
        let is_custom = crate::home::is_name(provider)
            && std::fs::symlink_metadata(definitions::file_of(&folder, provider)).is_ok();
        if !is_custom {
            self.check_known(provider)?;
        }
        self.delete_all(provider)?;
        if !is_custom {
            return Ok(Removed::Reset);
        }
        definitions::remove(&folder, provider)?;
        self.definitions_changed()?;
        Ok(Removed::Uninstalled)
    }

    fn delete_all(&self, provider: &str) -> Result<bool, Error> {
        let vault = self.vault()?;
        let exclusive = vault.exclusive()?;
        let keys = vault.list(&self.keys().of_provider(provider))?;
        if keys.is_empty() {
            return Ok(false);
        }
        exclusive.apply(keys.into_iter().map(Change::delete).collect())?;
        Ok(true)
    }

    /// A provider is known by its definition, or by what an earlier one has left in the vault.
    fn check_known(&self, provider: &str) -> Result<(), Error> {
        match self.definitions().provider(provider) {
            Ok(_) => Ok(()),
            Err(_) if !self.names_in_store(&self.keys().of_provider(provider))?.is_empty() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn nothing_to_end(&self, provider: &str) -> Error {
        if self.provided_key(provider).is_some() {
            return Error::Usage(format!("the key of {provider} comes from the environment: unset it there"));
        }
        Error::CredentialMissing { provider: provider.to_owned() }
    }
}
