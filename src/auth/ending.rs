//! Ending connections: logout, revoke, remove.

use authsome_providers::AuthType;

use super::error::chain;
use super::provided::CONNECTION as PROVIDED;
use super::record::{ConnectionRecord, encode};
use super::refresh::PATIENCE;
use super::{AuthService, Connection, Error, definitions, flows};
use crate::vault::Change;

/// What [`AuthService::remove`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// A custom definition is gone.
    Uninstalled,
    /// A bundled provider is as it was before the first login.
    Reset,
}

/// What [`AuthService::revoke`] did with the tokens of each connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revoked {
    /// Revoked at the provider.
    pub at_provider: Vec<String>,
    /// Removed here alone, with the reason.
    pub only_here: Vec<(String, String)>,
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
        let mut changes = vec![Change::delete(key), metadata];
        changes.extend(self.forget_refreshes(provider, &name)?);
        exclusive.apply(changes)?;
        Ok(name)
    }

    /// Revokes tokens at their provider where it can be done (RFC 7009), then removes a connection, or all of them with
    /// the OAuth client. What the provider did not take is told, and removed here all the same. Keys are revoked on the
    /// vendor's own page.
    ///
    /// # Errors
    /// When there is nothing to revoke, or the vault cannot be written.
    pub fn revoke(&self, provider: &str, connection: Option<&str>) -> Result<Revoked, Error> {
        self.check_known(provider)?;
        let revoked = self.revoke_tokens(provider, connection)?;
        match connection {
            Some(_) => drop(self.logout(provider, connection)?),
            None if self.delete_all(provider)? => {}
            None => return Err(self.nothing_to_end(provider)),
        }
        Ok(revoked)
    }

    fn revoke_tokens(&self, provider: &str, connection: Option<&str>) -> Result<Revoked, Error> {
        let mut revoked = Revoked::default();
        for Connection { record, .. } in self.snapshot()?.connections {
            let meant = connection.is_none_or(|name| name == record.connection_name);
            if record.provider != provider || !meant || record.auth_type != AuthType::OAuth2 {
                continue;
            }
            match self.revoke_settled(&record) {
                Ok(()) => revoked.at_provider.push(record.connection_name),
                Err(reason) => revoked.only_here.push((record.connection_name, reason)),
            }
        }
        Ok(revoked)
    }

    /// A refresh that is under way is waited for: what it brings is given back too.
    fn revoke_settled(&self, record: &ConnectionRecord) -> Result<(), String> {
        let (provider, name) = (&record.provider, &record.connection_name);
        let settled = self.profile().lock_connection(provider, name, PATIENCE);
        let current = self.connection(provider, Some(name)).map_err(|error| chain(&error))?;
        let outcome = self.revoke_at_provider(&current.record);
        drop(settled);
        outcome
    }

    /// Gives both tokens back, the refresh token first: with it, most servers end the access token as well.
    fn revoke_at_provider(&self, record: &ConnectionRecord) -> Result<(), String> {
        if record.binding.revocation_url.is_none() {
            return Err("the provider has no way to revoke a token".to_owned());
        }
        let (authority, client) = self.authority(record).map_err(|error| error.to_string())?;
        let server = authority.server(self.network(), self.clock());
        // A server that calls the parameter so takes access tokens alone, and ends what belongs to them.
        let own = authority.settings.revocation.as_ref().and_then(|ways| ways.token_param.as_deref());
        let refresh_token = record.refresh_token.as_ref().filter(|_| own != Some("access_token"));
        let tokens = [("refresh_token", refresh_token), ("access_token", record.access_token.as_ref())];
        for (hint, token) in tokens.into_iter().filter_map(|(hint, token)| Some((hint, token?))) {
            flows::revoke(server, &client, token, hint).map_err(|error| chain(&error))?;
        }
        Ok(())
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
