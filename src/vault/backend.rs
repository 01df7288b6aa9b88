//! What a vault stores its sealed records in: keys, opaque bytes, versions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a backend could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A record is not at the version that the writer had read: somebody else wrote it.
    #[error("the record {0:?} was changed by another process")]
    Conflict(String),
    /// Another process keeps the store busy for too long.
    #[error("the store is locked by another process")]
    Locked(#[source] Cause),
    /// The store, or the file system below it, can only be read.
    #[error("the store is read-only")]
    ReadOnly(#[source] Cause),
    /// No room is left for the write, which did not happen.
    #[error("no space is left for the store")]
    Full(#[source] Cause),
    /// The store's own structure is damaged.
    #[error("the store is corrupted")]
    Corrupt(#[source] Cause),
    /// A newer program wrote it.
    #[error("the store has format {found}, this program knows {known}")]
    TooNew {
        /// The store's format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A store of something else, such as the Python edition.
    #[error("the file is a store of another program")]
    Foreign,
    /// It cannot be opened at all.
    #[error("the store cannot be opened")]
    Unreachable(#[source] Cause),
    /// Reading or writing it failed; what was asked may or may not have happened.
    #[error("reading or writing the store failed")]
    Failed(#[source] Cause),
}

/// What a backend's own engine reported.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A value with the version that its last write gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// Opaque bytes.
    pub value: Vec<u8>,
    /// Never given twice in the life of a store, not even after a deletion.
    pub version: i64,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored {{ version: {}, {} bytes }}", self.version, self.value.len())
    }
}

/// What a writer takes for granted about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// That there is none.
    Absent,
    /// That it is at this version.
    Version(i64),
}

impl Expected {
    /// Whether a record's present version, if there is one, is the expected one.
    pub fn admits(self, present: Option<i64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => present.is_none(),
            Self::Version(version) => present == Some(version),
        }
    }
}

/// One change of one record.
#[derive(Clone)]
pub struct Write {
    /// The record.
    pub key: String,
    /// Its new bytes; `None` deletes it.
    pub value: Option<Vec<u8>>,
    /// The condition.
    pub expected: Expected,
}

/// A key-value store of opaque bytes. It never sees plaintext. Calls block.
pub trait Backend: Send + Sync {
    /// Reads a record.
    fn get(&self, key: &str) -> Result<Option<Stored>, BackendError>;

    /// Reads all records whose keys begin with `prefix`, in the order of their keys, as of one moment.
    fn scan(&self, prefix: &str) -> Result<Vec<(String, Stored)>, BackendError>;

    /// Makes all changes or none, durably, and returns the version that they gave. With `meta`, a value about the
    /// store itself, by its name, is written in the same commit.
    fn commit(&self, writes: &[Write], meta: Option<(&str, &[u8])>) -> Result<i64, BackendError>;

    /// Reads a value about the store itself.
    fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError>;

    /// Writes a value about the store itself unless there is one; returns the one that is there then.
    fn found_meta(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, BackendError>;

    /// Makes all changes or none, durably, and returns the version that they gave.
    fn apply(&self, writes: &[Write]) -> Result<i64, BackendError> {
        self.commit(writes, None)
    }

    /// Writes a record.
    fn put(&self, key: &str, value: &[u8]) -> Result<i64, BackendError> {
        self.put_if(key, value, Expected::Any)
    }

    /// Writes a record on a condition.
    fn put_if(&self, key: &str, value: &[u8], expected: Expected) -> Result<i64, BackendError> {
        self.apply(&[Write { key: key.to_owned(), value: Some(value.to_owned()), expected }])
    }

    /// Deletes a record, if there is one.
    fn delete(&self, key: &str) -> Result<i64, BackendError> {
        self.apply(&[Write { key: key.to_owned(), value: None, expected: Expected::Any }])
    }

    /// The keys that begin with `prefix`, sorted.
    fn list(&self, prefix: &str) -> Result<Vec<String>, BackendError> {
        Ok(self.scan(prefix)?.into_iter().map(|(key, _)| key).collect())
    }
}

/// A backend that forgets: for tests and for programs that bring their own storage.
#[derive(Default)]
pub struct MemoryBackend {
    state: Mutex<MemoryState>,
}

#[derive(Default)]
struct MemoryState {
    records: BTreeMap<String, Stored>,
    meta: BTreeMap<String, Vec<u8>>,
    sequence: i64,
}

impl MemoryBackend {
    fn state(&self) -> MutexGuard<'_, MemoryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for MemoryBackend {
    fn get(&self, key: &str) -> Result<Option<Stored>, BackendError> {
        Ok(self.state().records.get(key).cloned())
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Stored)>, BackendError> {
        let state = self.state();
        let from_prefix = state.records.range(prefix.to_owned()..);
        let matching = from_prefix.take_while(|(key, _)| key.starts_with(prefix));
        Ok(matching.map(|(key, stored)| (key.clone(), stored.clone())).collect())
    }

    fn commit(&self, writes: &[Write], meta: Option<(&str, &[u8])>) -> Result<i64, BackendError> {
        let mut state = self.state();
        for write in writes {
            let present = state.records.get(&write.key).map(|stored| stored.version);
            if !write.expected.admits(present) {
                return Err(BackendError::Conflict(write.key.clone()));
            }
        }
        state.sequence += 1;
        let version = state.sequence;
        for write in writes {
            match &write.value {
                Some(value) => {
                    state.records.insert(write.key.clone(), Stored { value: value.clone(), version });
                }
                None => {
                    state.records.remove(&write.key);
                }
            }
        }
        if let Some((name, value)) = meta {
            state.meta.insert(name.to_owned(), value.to_owned());
        }
        Ok(version)
    }

    fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.state().meta.get(name).cloned())
    }

    fn found_meta(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, BackendError> {
        Ok(self.state().meta.entry(name.to_owned()).or_insert_with(|| value.to_owned()).clone())
    }
}
