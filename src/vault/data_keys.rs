//! The keys that seal records: random, wrapped by the master key, kept in the store itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::VaultError;
use super::backend::Backend;
use super::seal::{SealError, SealingKey};

/// Where the store keeps them.
pub(super) const META: &str = "data_keys";

/// The data keys of one store, as far as they were needed.
pub(super) struct DataKeys {
    master: SealingKey,
    known: Mutex<Option<Known>>,
}

struct Known {
    active: String,
    by_kid: BTreeMap<String, Arc<SealingKey>>,
}

#[derive(Serialize, Deserialize)]
struct Wrapped {
    active: String,
    keys: BTreeMap<String, Value>,
}

impl DataKeys {
    /// Opens the keys of a store, which has none before its first record.
    pub(super) fn open(backend: &dyn Backend, master: SealingKey) -> Result<Self, VaultError> {
        let known = backend.meta(META)?.map(|wrapped| unwrap(&master, &wrapped)).transpose()?;
        Ok(Self { master, known: Mutex::new(known) })
    }

    /// The key of an envelope; the store is asked again for one that is not known yet.
    pub(super) fn by_kid(
        &self,
        backend: &dyn Backend,
        kid: &str,
    ) -> Result<Option<Arc<SealingKey>>, VaultError> {
        let mut known = self.known();
        let found = |known: &Option<Known>| known.as_ref().and_then(|known| known.by_kid.get(kid).cloned());
        if let Some(key) = found(&known) {
            return Ok(Some(key));
        }
        if let Some(wrapped) = backend.meta(META)? {
            *known = Some(unwrap(&self.master, &wrapped)?);
        }
        Ok(found(&known))
    }

    /// The key for new records; made on the first write, by one of however many writers.
    pub(super) fn active(&self, backend: &dyn Backend) -> Result<Arc<SealingKey>, VaultError> {
        let mut known = self.known();
        if known.is_none() {
            let fresh = SealingKey::generate().map_err(VaultError::DataKeys)?;
            let wrapped = wrap(&self.master, &fresh).map_err(VaultError::DataKeys)?;
            let found = backend.found_meta(META, &wrapped)?;
            *known = Some(unwrap(&self.master, &found)?);
        }
        let active = known.as_ref().and_then(|known| known.by_kid.get(&known.active).cloned());
        active.ok_or(VaultError::DataKeys(SealError::OtherKey))
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wrap(master: &SealingKey, key: &SealingKey) -> Result<Vec<u8>, SealError> {
    let envelope = serde_json::from_slice(&master.wrap(key)?).map_err(|_| SealError::Envelope)?;
    let keys = BTreeMap::from([(key.kid().to_owned(), envelope)]);
    serde_json::to_vec(&Wrapped { active: key.kid().to_owned(), keys }).map_err(|_| SealError::Envelope)
}

fn unwrap(master: &SealingKey, wrapped: &[u8]) -> Result<Known, VaultError> {
    let wrapped: Wrapped =
        serde_json::from_slice(wrapped).map_err(|_| VaultError::DataKeys(SealError::Envelope))?;
    let mut by_kid = BTreeMap::new();
    for (kid, envelope) in wrapped.keys {
        let key = match master.unwrap(&kid, envelope.to_string().as_bytes()) {
            Ok(key) => Arc::new(key),
            Err(SealError::OtherKey) => return Err(VaultError::WrongMasterKey),
            Err(error) => return Err(VaultError::DataKeys(error)),
        };
        by_kid.insert(kid, key);
    }
    Ok(Known { active: wrapped.active, by_kid })
}
