//! The keys that seal records: random, wrapped by the master key, kept in the store itself.
//!
//! While the master key is being replaced they are wrapped by the old one too, so that whichever of the two a process
//! has opens them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::VaultError;
use super::backend::Backend;
use super::master_key::MasterKey;
use super::seal::{SealError, SealingKey};

/// Where the store keeps them.
pub(super) const META: &str = "data_keys";

/// Reads the master key again, which may be another one by now.
pub(super) type Renewal = Box<dyn Fn() -> Option<MasterKey> + Send + Sync>;

/// The data keys of one store, as far as they were needed.
pub(super) struct DataKeys {
    master: Mutex<Arc<SealingKey>>,
    renewal: OnceLock<Renewal>,
    known: Mutex<Option<Known>>,
}

struct Known {
    /// What the store said.
    wrapped: Vec<u8>,
    active: String,
    by_kid: BTreeMap<String, Arc<SealingKey>>,
}

#[derive(Serialize, Deserialize)]
struct Wrapped {
    active: String,
    keys: BTreeMap<String, Value>,
    /// By the master key that is about to go.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    outgoing: BTreeMap<String, Value>,
}

impl DataKeys {
    /// Opens the keys of a store, which has none before its first record.
    pub(super) fn open(backend: &dyn Backend, master: SealingKey) -> Result<Self, VaultError> {
        let known = backend.meta(META)?.map(|wrapped| unwrap(&master, wrapped)).transpose()?;
        let master = Mutex::new(Arc::new(master));
        Ok(Self { master, renewal: OnceLock::new(), known: Mutex::new(known) })
    }

    /// Says how the master key is read again when it no longer opens the keys.
    pub(super) fn renew_by(&self, renewal: Renewal) {
        // Whoever came first.
        let _ = self.renewal.set(renewal);
    }

    /// The key of an envelope; the store is asked again for one that is not known yet.
    pub(super) fn by_kid(
        &self,
        backend: &dyn Backend,
        kid: &str,
    ) -> Result<Option<Arc<SealingKey>>, VaultError> {
        let mut known = lock(&self.known);
        let found = |known: &Option<Known>| known.as_ref().and_then(|known| known.by_kid.get(kid).cloned());
        if let Some(key) = found(&known) {
            return Ok(Some(key));
        }
        if let Some(wrapped) = backend.meta(META)? {
            *known = Some(self.unwrap(wrapped)?);
        }
        Ok(found(&known))
    }

    /// The key for new records, as the store has it now; made on the first write, by one of however many writers.
    pub(super) fn active(&self, backend: &dyn Backend) -> Result<Arc<SealingKey>, VaultError> {
        let mut known = lock(&self.known);
        let wrapped = match backend.meta(META)? {
            Some(wrapped) => wrapped,
            None => {
                let fresh = SealingKey::generate().map_err(VaultError::DataKeys)?;
                let wrapped = wrap(&fresh, &lock(&self.master), None).map_err(VaultError::DataKeys)?;
                backend.found_meta(META, &wrapped)?
            }
        };
        if known.as_ref().is_none_or(|known| known.wrapped != wrapped) {
            *known = Some(self.unwrap(wrapped)?);
        }
        let active = known.as_ref().and_then(|known| known.by_kid.get(&known.active).cloned());
        active.ok_or(VaultError::DataKeys(SealError::OtherKey))
    }

    /// Opens the keys; where the master key is no longer the one, with what the source has now.
    fn unwrap(&self, wrapped: Vec<u8>) -> Result<Known, VaultError> {
        let master = Arc::clone(&lock(&self.master));
        let error = match unwrap(&master, wrapped.clone()) {
            Err(error @ VaultError::WrongMasterKey) => error,
            outcome => return outcome,
        };
        let renewed = self.renewal.get().and_then(|renewal| renewal()).ok_or(error)?;
        let renewed = SealingKey::named_by_digest(renewed.bytes());
        let known = unwrap(&renewed, wrapped)?;
        *lock(&self.master) = Arc::new(renewed);
        Ok(known)
    }
}

/// What a store keeps of one data key: wrapped by `master`, and by the one that is about to go.
pub(super) fn wrap(
    key: &SealingKey,
    master: &SealingKey,
    outgoing: Option<&SealingKey>,
) -> Result<Vec<u8>, SealError> {
    let by = |master: &SealingKey| -> Result<BTreeMap<String, Value>, SealError> {
        let envelope = serde_json::from_slice(&master.wrap(key)?).map_err(|_| SealError::Envelope)?;
        Ok(BTreeMap::from([(key.kid().to_owned(), envelope)]))
    };
    let outgoing = outgoing.map(by).transpose()?.unwrap_or_default();
    let wrapped = Wrapped { active: key.kid().to_owned(), keys: by(master)?, outgoing };
    serde_json::to_vec(&wrapped).map_err(|_| SealError::Envelope)
}

fn unwrap(master: &SealingKey, wrapped: Vec<u8>) -> Result<Known, VaultError> {
    let Wrapped { active, keys, outgoing } =
        serde_json::from_slice(&wrapped).map_err(|_| VaultError::DataKeys(SealError::Envelope))?;
    let by_kid = match unwrap_all(master, keys) {
        Err(VaultError::WrongMasterKey) if !outgoing.is_empty() => unwrap_all(master, outgoing)?,
        outcome => outcome?,
    };
    Ok(Known { wrapped, active, by_kid })
}

fn unwrap_all(
    master: &SealingKey,
    envelopes: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Arc<SealingKey>>, VaultError> {
    let mut by_kid = BTreeMap::new();
    for (kid, envelope) in envelopes {
        let key = match master.unwrap(&kid, envelope.to_string().as_bytes()) {
            Ok(key) => Arc::new(key),
            Err(SealError::OtherKey) => return Err(VaultError::WrongMasterKey),
            Err(error) => return Err(VaultError::DataKeys(error)),
        };
        by_kid.insert(kid, key);
    }
    Ok(by_kid)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
