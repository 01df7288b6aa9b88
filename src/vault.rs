//! The vault: sealed records of one profile. It knows keys and bytes, nothing of providers or expiry.
//!
//! Every record is sealed whole with a random data key, which the home's master key wraps. A reader
//! takes no lock. A writer holds the profile's lock for one read-modify-write ([`Vault::exclusive`]),
//! and moves the profile's generation around its commit, so that running proxies notice.

mod backend;
mod data_keys;
mod generation;
mod master_key;
mod python;
mod rekey;
mod seal;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

use crate::home::files::FileLock;
use crate::home::{self, Profile};
use crate::secret::Secret;
pub use backend::{Backend, BackendError, Cause, Expected, MemoryBackend, Stored, Write};
use data_keys::DataKeys;
pub use generation::{GenerationError, GenerationReader, is_unsettled};
pub use master_key::{
    Ask, Asked, Keyring, KeyringError, MasterKey, MasterKeyError, MasterKeySource, Passphrase, choose,
};
pub use python::{PythonDefinitions, PythonHome, PythonHomeError, PythonProfile, PythonRecord};
pub use rekey::{RekeyError, Rekeyed, rekey};
pub use seal::SealError;
use seal::SealingKey;
pub use sqlite::SqliteBackend;

/// Why the vault could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store could not.
    #[error("the vault's store failed")]
    Backend(#[from] BackendError),
    /// A record does not open.
    #[error("the record {key:?} cannot be opened")]
    Record {
        /// The record.
        key: String,
        /// Why.
        source: SealError,
    },
    /// The master key is not the one that sealed this vault.
    #[error("the master key is not the one that sealed this vault")]
    WrongMasterKey,
    /// The data keys cannot be opened although the master key is the right one.
    #[error("the vault's data keys are damaged")]
    DataKeys(#[source] SealError),
    /// A value could not be sealed.
    #[error("the record {key:?} could not be sealed")]
    Sealing {
        /// The record.
        key: String,
        /// Why.
        source: SealError,
    },
    /// The profile's lock could not be had.
    #[error("the profile cannot be locked for writing")]
    Lock(#[from] home::Error),
    /// The generation could not be moved, so that running proxies would not notice: nothing was written.
    #[error("the profile's generation cannot be moved")]
    Generation(#[from] GenerationError),
}

/// An opened record.
#[derive(Debug)]
pub struct Item {
    /// The plaintext.
    pub value: Secret<Vec<u8>>,
    /// The version that its last write gave it.
    pub version: i64,
}

/// A record's key, and the record or why it does not open.
pub type Scanned = (String, Result<Item, VaultError>);

/// One change of one record, before it is sealed.
#[derive(Debug)]
pub struct Change {
    key: String,
    value: Option<Secret<Vec<u8>>>,
    expected: Expected,
}

impl Change {
    /// Writes a record.
    pub fn put(key: impl Into<String>, value: Secret<Vec<u8>>) -> Self {
        Self { key: key.into(), value: Some(value), expected: Expected::Any }
    }

    /// Deletes a record.
    pub fn delete(key: impl Into<String>) -> Self {
        Self { key: key.into(), value: None, expected: Expected::Any }
    }

    /// Makes all changes of the same call depend on this record's present version.
    #[must_use]
    pub fn expecting(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    fn sealed(self, by: &SealingKey) -> Result<Write, VaultError> {
        let Self { key, value, expected } = self;
        let value = value.map(|value| by.seal(&key, value.expose())).transpose();
        let value = value.map_err(|source| VaultError::Sealing { key: key.clone(), source })?;
        Ok(Write { key, value, expected })
    }
}

/// The sealed records of one profile. Calls block; clone the [`Arc`] around it to share it.
pub struct Vault {
    backend: Arc<dyn Backend>,
    keys: DataKeys,
    profile: Option<Profile>,
}

impl Vault {
    /// Opens the store of a profile, creating it when there is none.
    ///
    /// # Errors
    /// When the store cannot be used, or another master key sealed it.
    pub fn open(profile: &Profile, master: &MasterKey) -> Result<Self, VaultError> {
        let backend = Arc::new(SqliteBackend::open(&profile.store())?);
        if !profile.generation().try_exists().unwrap_or(false) {
            let _lock = profile.lock()?;
            generation::create(&profile.generation())?;
        }
        Self::build(backend, master, Some(profile.clone()))
    }

    /// A vault over any backend, whose writers coordinate by its compare-and-swap alone.
    pub fn with_backend(backend: Arc<dyn Backend>, master: &MasterKey) -> Result<Self, VaultError> {
        Self::build(backend, master, None)
    }

    fn build(
        backend: Arc<dyn Backend>,
        master: &MasterKey,
        profile: Option<Profile>,
    ) -> Result<Self, VaultError> {
        let keys = DataKeys::open(&*backend, SealingKey::named_by_digest(master.bytes()))?;
        Ok(Self { backend, keys, profile })
    }

    /// Says how the master key is read again, should another have taken its place; `None` is no key.
    pub fn renew_by(&self, renewal: impl Fn() -> Option<MasterKey> + Send + Sync + 'static) {
        self.keys.renew_by(Box::new(renewal));
    }

    /// Reads a record.
    pub fn get(&self, key: &str) -> Result<Option<Item>, VaultError> {
        self.backend.get(key)?.map(|stored| self.unseal(key, &stored)).transpose()
    }

    /// Reads all records whose keys begin with `prefix`, as of one moment, sorted by key. One that
    /// does not open does not hide the others.
    pub fn scan(&self, prefix: &str) -> Result<Vec<Scanned>, VaultError> {
        let records = self.backend.scan(prefix)?;
        Ok(records
            .into_iter()
            .map(|(key, stored)| {
                let item = self.unseal(&key, &stored);
                (key, item)
            })
            .collect())
    }

    /// The keys that begin with `prefix`, sorted.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>, VaultError> {
        Ok(self.backend.list(prefix)?)
    }

    /// Writes a record; returns its new version.
    pub fn put(&self, key: &str, value: Secret<Vec<u8>>) -> Result<i64, VaultError> {
        self.apply(vec![Change::put(key, value)])
    }

    /// Writes a record unless somebody else has changed it; returns its new version.
    pub fn put_if(&self, key: &str, value: Secret<Vec<u8>>, expected: Expected) -> Result<i64, VaultError> {
        self.apply(vec![Change::put(key, value).expecting(expected)])
    }

    /// Deletes a record; says whether there was one.
    pub fn delete(&self, key: &str) -> Result<bool, VaultError> {
        let exclusive = self.exclusive()?;
        let present = self.backend.get(key)?.is_some();
        if present {
            exclusive.apply(vec![Change::delete(key)])?;
        }
        Ok(present)
    }

    /// Makes all changes or none; returns the version that they gave.
    pub fn apply(&self, changes: Vec<Change>) -> Result<i64, VaultError> {
        self.exclusive()?.apply(changes)
    }

    /// Keeps other writers of the profile away for one read-modify-write.
    pub fn exclusive(&self) -> Result<Exclusive<'_>, VaultError> {
        let lock = self.profile.as_ref().map(Profile::lock).transpose()?;
        Ok(Exclusive { vault: self, _lock: lock })
    }

    /// Makes a commit without a change: whether the store can be written.
    pub fn probe(&self) -> Result<(), VaultError> {
        self.backend.apply(&[])?;
        Ok(())
    }

    /// Opens every record of the vault and returns how many there are.
    pub fn verify(&self) -> Result<usize, VaultError> {
        let records = self.scan("")?;
        let count = records.len();
        records.into_iter().try_for_each(|(_, item)| item.map(drop))?;
        Ok(count)
    }

    /// The profile, unless the vault is over a backend of the caller's own.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    fn unseal(&self, key: &str, stored: &Stored) -> Result<Item, VaultError> {
        let failed = |source| VaultError::Record { key: key.to_owned(), source };
        let kid = SealingKey::kid_of(&stored.value).map_err(failed)?;
        let sealing_key =
            self.keys.by_kid(&*self.backend, &kid)?.ok_or_else(|| failed(SealError::OtherKey))?;
        let mut value = sealing_key.open(key, &stored.value).map_err(failed)?;
        Ok(Item { value: Secret::new(std::mem::take(&mut *value)), version: stored.version })
    }

    fn seal(&self, change: Change) -> Result<Write, VaultError> {
        match change.value {
            Some(_) => change.sealed(&*self.keys.active(&*self.backend)?),
            None => Ok(Write { key: change.key, value: None, expected: change.expected }),
        }
    }
}

/// The right to write to a profile; other writers wait until it is dropped.
pub struct Exclusive<'a> {
    vault: &'a Vault,
    _lock: Option<FileLock>,
}

impl Exclusive<'_> {
    /// Makes all changes or none; returns the version that they gave. When it returns, they are on disk.
    pub fn apply(&self, changes: Vec<Change>) -> Result<i64, VaultError> {
        let writes: Vec<Write> =
            changes.into_iter().map(|change| self.vault.seal(change)).collect::<Result<_, _>>()?;
        self.commit(&writes, None)
    }

    fn commit(&self, writes: &[Write], meta: Option<(&str, &[u8])>) -> Result<i64, VaultError> {
        let Some(profile) = &self.vault.profile else {
            return Ok(self.vault.backend.commit(writes, meta)?);
        };
        let turn = generation::Turn::begin(&profile.generation())?;
        let outcome = self.vault.backend.commit(writes, meta);
        if let Err(error) = turn.end() {
            // An odd number only costs the readers their caches, until the next writer comes.
            tracing::warn!(%error, "the profile's generation stays unsettled");
        }
        Ok(outcome?)
    }
}

/// Whether a store holds anything that a master key has sealed.
fn is_sealed(store: &Path) -> Result<bool, BackendError> {
    Ok(SqliteBackend::open(store)?.meta(data_keys::META)?.is_some())
}

#[cfg(test)]
mod tests;
