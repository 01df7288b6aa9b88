//! The vault: sealed records of one profile. It knows keys and bytes, nothing of providers or expiry.
//!
//! Every record is sealed whole with a random data key, which the home's master key wraps. A reader
//! takes no lock. A writer holds the profile's lock for one read-modify-write ([`Vault::exclusive`]),
//! and moves the profile's generation around its commit, so that running proxies notice.

mod backend;
mod generation;
mod master_key;
mod seal;
mod sqlite;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::home::files::FileLock;
use crate::home::{self, Profile};
use crate::secret::Secret;
pub use backend::{Backend, BackendError, Cause, Expected, MemoryBackend, Stored, Write};
pub use generation::{GenerationError, GenerationReader, is_unsettled};
pub use master_key::{MasterKey, MasterKeyError, MasterKeySource};
pub use seal::SealError;
use seal::SealingKey;
pub use sqlite::SqliteBackend;

const DATA_KEYS: &str = "data_keys";

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
}

/// The sealed records of one profile. Calls block; clone the [`Arc`] around it to share it.
pub struct Vault {
    backend: Arc<dyn Backend>,
    master: SealingKey,
    keys: Mutex<Option<DataKeys>>,
    profile: Option<Profile>,
}

#[derive(Default)]
struct DataKeys {
    active: String,
    by_kid: BTreeMap<String, Arc<SealingKey>>,
}

#[derive(Serialize, Deserialize)]
struct WrappedKeys {
    active: String,
    keys: BTreeMap<String, Value>,
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
        let master = SealingKey::named_by_digest(master.bytes());
        let vault = Self { backend, master, keys: Mutex::new(None), profile };
        if let Some(wrapped) = vault.backend.meta(DATA_KEYS)? {
            *vault.keys() = Some(vault.unwrap_keys(&wrapped)?);
        }
        Ok(vault)
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
        let sealing_key = self.data_key(&kid)?.ok_or_else(|| failed(SealError::OtherKey))?;
        let mut value = sealing_key.open(key, &stored.value).map_err(failed)?;
        Ok(Item { value: Secret::new(std::mem::take(&mut *value)), version: stored.version })
    }

    fn seal(&self, change: Change) -> Result<Write, VaultError> {
        let Change { key, value, expected } = change;
        let value = match value {
            None => None,
            Some(value) => {
                let sealed = self.active_key()?.seal(&key, value.expose());
                Some(sealed.map_err(|source| VaultError::Sealing { key: key.clone(), source })?)
            }
        };
        Ok(Write { key, value, expected })
    }

    /// The data key of an envelope; read again when it is not known yet.
    fn data_key(&self, kid: &str) -> Result<Option<Arc<SealingKey>>, VaultError> {
        let mut keys = self.keys();
        let known = keys.as_ref().and_then(|keys| keys.by_kid.get(kid).cloned());
        if known.is_some() {
            return Ok(known);
        }
        if let Some(wrapped) = self.backend.meta(DATA_KEYS)? {
            *keys = Some(self.unwrap_keys(&wrapped)?);
        }
        Ok(keys.as_ref().and_then(|keys| keys.by_kid.get(kid).cloned()))
    }

    /// The data key for new records; made on the first write, by one of however many writers.
    fn active_key(&self) -> Result<Arc<SealingKey>, VaultError> {
        let mut keys = self.keys();
        if keys.is_none() {
            let fresh = SealingKey::generate().map_err(VaultError::DataKeys)?;
            let wrapped = self.wrap_key(&fresh).map_err(VaultError::DataKeys)?;
            let found = self.backend.found_meta(DATA_KEYS, &wrapped)?;
            *keys = Some(self.unwrap_keys(&found)?);
        }
        let active = keys.as_ref().and_then(|keys| keys.by_kid.get(&keys.active).cloned());
        active.ok_or(VaultError::DataKeys(SealError::OtherKey))
    }

    fn wrap_key(&self, key: &SealingKey) -> Result<Vec<u8>, SealError> {
        let envelope = serde_json::from_slice(&self.master.wrap(key)?).map_err(|_| SealError::Envelope)?;
        let keys = BTreeMap::from([(key.kid().to_owned(), envelope)]);
        serde_json::to_vec(&WrappedKeys { active: key.kid().to_owned(), keys })
            .map_err(|_| SealError::Envelope)
    }

    fn unwrap_keys(&self, wrapped: &[u8]) -> Result<DataKeys, VaultError> {
        let wrapped: WrappedKeys =
            serde_json::from_slice(wrapped).map_err(|_| VaultError::DataKeys(SealError::Envelope))?;
        let mut by_kid = BTreeMap::new();
        for (kid, envelope) in wrapped.keys {
            let key = match self.master.unwrap(&kid, envelope.to_string().as_bytes()) {
                Ok(key) => Arc::new(key),
                Err(SealError::OtherKey) => return Err(VaultError::WrongMasterKey),
                Err(error) => return Err(VaultError::DataKeys(error)),
            };
            by_kid.insert(kid, key);
        }
        Ok(DataKeys { active: wrapped.active, by_kid })
    }

    fn keys(&self) -> MutexGuard<'_, Option<DataKeys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
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
        let Some(profile) = &self.vault.profile else {
            return Ok(self.vault.backend.apply(&writes)?);
        };
        let turn = generation::Turn::begin(&profile.generation())?;
        let outcome = self.vault.backend.apply(&writes);
        if let Err(error) = turn.end() {
            // An odd number only costs the readers their caches, until the next writer comes.
            tracing::warn!(%error, "the profile's generation stays unsettled");
        }
        Ok(outcome?)
    }
}

/// Whether a store holds anything that a master key has sealed.
fn is_sealed(store: &Path) -> Result<bool, BackendError> {
    Ok(SqliteBackend::open(store)?.meta(DATA_KEYS)?.is_some())
}

#[cfg(test)]
mod tests;
