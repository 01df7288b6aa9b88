//! Reading connections: all at once for the proxy's routes, or one for a request. It never refreshes.

use std::collections::BTreeMap;

use super::provided::CONNECTION as PROVIDED;
use super::record::{ConnectionRecord, ProviderMetadata, decode};
use super::{AuthService, Error};
use crate::vault::{Item, VaultError};

/// A connection as it was read.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What is stored.
    pub record: ConnectionRecord,
    /// The record's version in the vault; none when the environment provides it.
    pub version: Option<i64>,
    /// Whether it is used when none is named.
    pub is_default: bool,
}

/// A connection that is there and cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// The provider's name.
    pub provider: String,
    /// The connection's name.
    pub connection: String,
    /// Why.
    pub error: Error,
}

/// All connections of a profile as of one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Those that can be read, sorted by provider and name.
    pub connections: Vec<Connection>,
    /// Those that cannot. The others are not affected.
    pub unreadable: Vec<Unreadable>,
}

impl AuthService {
    /// Reads all connections of the profile.
    ///
    /// # Errors
    /// When the vault cannot be opened or read at all.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::default();
        let mut defaults = BTreeMap::new();
        for (key, item) in self.vault()?.scan(&self.keys().all())? {
            if let Some((provider, name)) = self.keys().parse_connection(&key) {
                snapshot.add(provider, name, read(&key, item));
            } else if key.ends_with(":metadata")
                && let Ok(metadata) = item
                    .map_err(Error::from)
                    .and_then(|item| Ok(decode::<ProviderMetadata>(&key, item.value.expose())?))
            {
                defaults.insert(metadata.provider, metadata.default_connection);
            }
        }
        self.add_provided(&mut snapshot, &mut defaults);
        snapshot.mark_defaults(&defaults);
        Ok(snapshot)
    }

    /// Reads one connection: the named one, or the provider's default.
    ///
    /// # Errors
    /// [`Error::CredentialMissing`] when the provider has none, [`Error::ConnectionNotFound`] when it has others only.
    pub fn connection(&self, provider: &str, name: Option<&str>) -> Result<Connection, Error> {
        self.definitions().provider(provider)?;
        let default = match name {
            // Damaged metadata does not stand in the way of a connection that is named.
            Some(_) => self.default_connection(provider).unwrap_or_default(),
            None => self.default_connection(provider)?,
        };
        let name = match name.or(default.as_deref()) {
            Some(name) => name.to_owned(),
            None => return Err(self.missing(provider, None)?),
        };
        let is_default = default.as_deref() == Some(name.as_str());
        if name == PROVIDED && self.provided_key(provider).is_some() {
            return Ok(Connection { record: self.read_provided(provider)?, version: None, is_default });
        }
        let key = self.keys().connection(provider, &name);
        match self.vault()?.get(&key)? {
            Some(item) => {
                let record = decode(&key, item.value.expose())?;
                Ok(Connection { record, version: Some(item.version), is_default })
            }
            None => Err(self.missing(provider, Some(&name))?),
        }
    }

    /// The name of the connection that is used when none is named, if the provider has any.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub fn default_connection(&self, provider: &str) -> Result<Option<String>, Error> {
        if self.provided_key(provider).is_some() {
            return Ok(Some(PROVIDED.to_owned()));
        }
        let (_, metadata) = self.metadata(provider, false)?;
        if metadata.default_connection.is_some() {
            return Ok(metadata.default_connection);
        }
        let keys = self.names_in_store(&self.keys().connection(provider, ""))?;
        match keys.as_slice() {
            [only] => Ok(self.keys().parse_connection(only).map(|(_, name)| name.to_owned())),
            _ => Ok(None),
        }
    }

    /// Says what is missing: this connection, or any.
    pub(super) fn missing(&self, provider: &str, name: Option<&str>) -> Result<Error, Error> {
        let others = self.names_in_store(&self.keys().connection(provider, ""))?;
        let provider = provider.to_owned();
        Ok(match name {
            Some(name) if !others.is_empty() => {
                Error::ConnectionNotFound { provider, connection: name.to_owned() }
            }
            _ => Error::CredentialMissing { provider },
        })
    }

    fn add_provided(&self, snapshot: &mut Snapshot, defaults: &mut BTreeMap<String, Option<String>>) {
        if self.provided.is_empty() {
            return;
        }
        for name in self.definitions().registry.names() {
            if self.provided_key(name).is_none() {
                continue;
            }
            let record = self.read_provided(name).map(|record| (record, None));
            snapshot.add(name, PROVIDED, record);
            defaults.insert(name.to_owned(), Some(PROVIDED.to_owned()));
        }
    }

    fn read_provided(&self, provider: &str) -> Result<ConnectionRecord, Error> {
        let missing = || Error::CredentialMissing { provider: provider.to_owned() };
        let key = self.provided_key(provider).ok_or_else(missing)?.read().map_err(|error| {
            Error::AuthenticationFailed {
                provider: provider.to_owned(),
                reason: format!("the key file that the environment names cannot be read: {error}"),
            }
        })?;
        self.provided_record(self.definitions().provider(provider)?, key)
    }
}

impl Snapshot {
    fn add(
        &mut self,
        provider: &str,
        connection: &str,
        read: Result<(ConnectionRecord, Option<i64>), Error>,
    ) {
        match read {
            Ok((record, version)) => {
                self.connections.push(Connection { record, version, is_default: false });
            }
            Err(error) => self.unreadable.push(Unreadable {
                provider: provider.to_owned(),
                connection: connection.to_owned(),
                error,
            }),
        }
    }

    /// Where the metadata says nothing, a provider's only connection is its default.
    fn mark_defaults(&mut self, defaults: &BTreeMap<String, Option<String>>) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for connection in &self.connections {
            *counts.entry(connection.record.provider.clone()).or_default() += 1;
        }
        for Connection { record, is_default, .. } in &mut self.connections {
            *is_default = match defaults.get(&record.provider) {
                Some(default) => default.as_deref() == Some(record.connection_name.as_str()),
                None => counts.get(&record.provider) == Some(&1),
            };
        }
    }
}

fn read(key: &str, item: Result<Item, VaultError>) -> Result<(ConnectionRecord, Option<i64>), Error> {
    let item = item?;
    Ok((decode(key, item.value.expose())?, Some(item.version)))
}
