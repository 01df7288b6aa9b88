//! Homes of the Python edition 0.2.x, read without changing a byte of them.
//!
//! Their stores are SQLite in WAL mode, whose last commits may stand in the log beside the file. Both are copied, sealed
//! as they are, and the copies opened. Each value is `base64(nonce).base64(ciphertext||tag)`, AES-256-GCM under the
//! master key without associated data.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;

use super::master_key::{self, MasterKey, MasterKeyError};
use super::seal::{SealError, SealingKey};
use super::{BackendError, sqlite};
use crate::home::files::{self, FileError, io_error};
use crate::home::{self, EncryptionMode, Settings};
use crate::secret::Secret;

/// The largest store and log that are read, in bytes.
const STORE_LIMIT: u64 = 256 << 20;
const LIMIT: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// What only later editions have in their homes.
const LATER: [&str; 5] = ["server", "client", "kv_store", "identities", "daemon"];

/// Why a home of the Python edition cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PythonHomeError {
    /// No such folder, or none of that edition.
    #[error("{} is no home of the Python edition", .0.display())]
    NotPython(PathBuf),
    /// Written by 0.1.x, which sealed single fields.
    #[error("{} was written by 0.1.x of the Python edition, whose records have another form; log in again", .0.display())]
    TooOld(PathBuf),
    /// Written by 0.3 or later.
    #[error("{} was written by a later Python edition than 0.2.x, which is the one that can be imported", .0.display())]
    TooNew(PathBuf),
    /// Its key cannot be had.
    #[error("the key of {} cannot be had", home.display())]
    Key {
        /// The home.
        home: PathBuf,
        /// Why.
        source: MasterKeyError,
    },
    /// Nothing in it opens with its key.
    #[error("the key of {} opens none of its records", .0.display())]
    WrongKey(PathBuf),
    /// A store cannot be read.
    #[error("the store of its profile {profile:?} cannot be read")]
    Store {
        /// The profile.
        profile: String,
        /// Why.
        source: BackendError,
    },
    /// A process of the Python edition writes to it for too long.
    #[error("its profile {0:?} is being written to; end the other process: authsome daemon stop")]
    Busy(String),
    /// A file cannot be read, or no copy be made.
    #[error("it cannot be read")]
    File(#[from] FileError),
    /// `config.json` is damaged.
    #[error("its settings cannot be read")]
    Settings(#[source] Box<home::Error>),
}

/// A record: its key, and what it holds or why it does not open.
pub type PythonRecord = (String, Result<Secret<Vec<u8>>, SealError>);

/// A profile with its records.
pub struct PythonProfile {
    /// The name, which ours may refuse.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Sorted by key.
    pub records: Vec<PythonRecord>,
}

/// Files in `providers/` with their texts, or why they cannot be read.
pub type PythonDefinitions = Vec<(String, Result<String, FileError>)>;

/// All that such a home holds.
pub struct PythonHome {
    /// The profile that is used when none is named.
    pub default_profile: String,
    /// Where its key is.
    pub mode: EncryptionMode,
    /// Sorted by name.
    pub profiles: Vec<PythonProfile>,
    /// Its own definitions.
    pub definitions: PythonDefinitions,
}

impl PythonHome {
    /// Reads a home. Copies of its stores, sealed as they are, stand in `scratch` for a moment.
    ///
    /// # Errors
    /// When it is none of 0.2.x, its key cannot be had or opens nothing, or a store cannot be read at all.
    pub fn read(root: &Path, scratch: &Path) -> Result<Self, PythonHomeError> {
        recognise(root)?;
        let settings = Settings::read(root).map_err(|error| PythonHomeError::Settings(error.into()))?;
        let mode = settings.encryption.mode;
        let key = SealingKey::named_by_digest(key(root, mode)?.bytes());
        let mut profiles = Vec::new();
        for (name, folder) in folders(&root.join("profiles"))? {
            let Some(metadata) = files::read(&folder.join("metadata.json"), LIMIT)? else { continue };
            let metadata: Metadata = serde_json::from_slice(&metadata).unwrap_or_default();
            let records = read_store(&name, &folder, scratch)?;
            let opened = records.into_iter().map(|(name, value)| (name, key.open_compact(&value))).collect();
            profiles.push(PythonProfile { name, description: metadata.description, records: opened });
        }
        let mut values = profiles.iter().flat_map(|profile| &profile.records).peekable();
        if values.peek().is_some() && values.all(|(_, value)| value.is_err()) {
            return Err(PythonHomeError::WrongKey(root.to_owned()));
        }
        let definitions = definitions(&root.join("providers"))?;
        Ok(Self { default_profile: settings.default_profile, mode, profiles, definitions })
    }
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    description: Option<String>,
}

/// Tells homes of 0.2.x from all others.
fn recognise(root: &Path) -> Result<(), PythonHomeError> {
    let version = files::read(&root.join("version"), 64)?;
    let version = version.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
    match version.as_deref() {
        Some("2") if root.join("profiles").is_dir() => Ok(()),
        Some("1") => Err(PythonHomeError::TooOld(root.to_owned())),
        None if LATER.iter().any(|name| root.join(name).exists()) => {
            Err(PythonHomeError::TooNew(root.to_owned()))
        }
        _ => Err(PythonHomeError::NotPython(root.to_owned())),
    }
}

fn key(root: &Path, mode: EncryptionMode) -> Result<MasterKey, PythonHomeError> {
    let found = match mode {
        EncryptionMode::Keyring => master_key::of_python_keyring(),
        EncryptionMode::LocalKey | EncryptionMode::Passphrase => {
            let path = root.join("master.key");
            match files::read(&path, LIMIT)? {
                Some(content) => master_key::parse(&path, &content),
                None => Err(MasterKeyError::NoSuchFile(path)),
            }
        }
    };
    found.map_err(|source| PythonHomeError::Key { home: root.to_owned(), source })
}

/// The folders in a folder, by name.
fn folders(parent: &Path) -> Result<Vec<(String, PathBuf)>, FileError> {
    let mut found: Vec<(String, PathBuf)> = entries(parent)?
        .into_iter()
        .map(|name| (name.clone(), parent.join(name)))
        .filter(|(_, path)| path.is_dir())
        .collect();
    found.sort();
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<String>, FileError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", folder)(error)),
    };
    entries
        .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
        .collect::<Result<_, _>>()
        .map_err(io_error("list", folder))
}

fn definitions(folder: &Path) -> Result<PythonDefinitions, FileError> {
    let mut names = entries(folder)?;
    names.retain(|name| name.ends_with(".json") && !name.starts_with('.'));
    names.sort();
    let read = |name: &String| {
        let content = files::read(&folder.join(name), LIMIT)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&content).into_owned())
    };
    Ok(names.into_iter().map(|name| (name.clone(), read(&name))).collect())
}

/// Copies a store with its log and reads the copy.
fn read_store(
    profile: &str,
    folder: &Path,
    scratch: &Path,
) -> Result<Vec<(String, Vec<u8>)>, PythonHomeError> {
    let copies = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(scratch)
        .map_err(io_error("create a folder in", scratch))?;
    {
        let _lock = share_lock(profile, &folder.join("lock"))?;
        // The log first: a checkpoint in between moves its content into the file, which then has it twice.
        for name in ["store.db-wal", "store.db"] {
            if let Some(content) = files::read(&folder.join(name), STORE_LIMIT)? {
                files::create(&copies.path().join(name), &content)?;
            }
        }
    }
    let store = copies.path().join("store.db");
    if !store.exists() {
        return Ok(Vec::new());
    }
    let failed = |source| PythonHomeError::Store { profile: profile.to_owned(), source };
    read_copy(&store).map_err(failed)
}

/// Reads all that the copy of a store holds.
fn read_copy(path: &Path) -> Result<Vec<(String, Vec<u8>)>, BackendError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
    sqlite::check_pages(&connection, "quick_check")?;
    let tables: u32 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'kv'",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let mut query = connection.prepare("SELECT key, CAST(value AS BLOB) FROM kv ORDER BY key")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps the Python edition's writers away while a store is copied.
fn share_lock(profile: &str, path: &Path) -> Result<Option<File>, PythonHomeError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", path)(error).into()),
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => return Err(PythonHomeError::Busy(profile.to_owned())),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", path)(error).into()),
        }
    }
}
