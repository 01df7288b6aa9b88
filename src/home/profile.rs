//! One profile's folder: its store, its locks, its generation.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::files::{self, FileLock};
use super::{Error, PATIENCE, check_name};
use crate::clock::{self, Clock};

const LIMIT: u64 = 1 << 20;

/// What `metadata.json` says about a profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProfileMetadata {
    /// The profile's name.
    pub name: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it was last changed, RFC 3339.
    pub updated_at: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A profile: a namespace of connections with a store of its own.
#[derive(Debug, Clone)]
pub struct Profile {
    name: String,
    folder: PathBuf,
}

impl Profile {
    pub(super) fn open(root: &Path, name: &str) -> Result<Self, Error> {
        check_name("profile", name)?;
        let folder = root.join("profiles").join(name);
        if !folder.join("metadata.json").try_exists().unwrap_or(true) {
            return Err(Error::ProfileNotFound(name.to_owned()));
        }
        files::check_folder(&folder)?;
        Ok(Self { name: name.to_owned(), folder })
    }

    /// Creates the folder; `metadata.json` last, since it is what makes the profile exist.
    pub(super) fn create(
        root: &Path,
        name: &str,
        description: Option<&str>,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        check_name("profile", name)?;
        let folder = root.join("profiles").join(name);
        files::make_folder(&folder)?;
        files::make_folder(&folder.join("locks"))?;
        let profile = Self { name: name.to_owned(), folder };
        let now = clock::rfc3339(clock.unix_seconds());
        let metadata = ProfileMetadata {
            name: name.to_owned(),
            created_at: now.clone(),
            updated_at: now,
            description: description.map(str::to_owned),
            rest: Map::new(),
        };
        let mut text = serde_json::to_vec_pretty(&metadata).unwrap_or_default();
        text.push(b'\n');
        files::create(&profile.metadata_file(), &text)?;
        Ok(profile)
    }

    /// The profile's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `profiles/<name>/`
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `profiles/<name>/store.db`
    pub fn store(&self) -> PathBuf {
        self.folder.join("store.db")
    }

    /// `profiles/<name>/metadata.json`
    pub fn metadata_file(&self) -> PathBuf {
        self.folder.join("metadata.json")
    }

    /// `profiles/<name>/generation`
    pub fn generation(&self) -> PathBuf {
        self.folder.join("generation")
    }

    /// `profiles/<name>/lock`
    pub fn lock_file(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// Takes the lock of the profile's writers: for one read-modify-write, never over a prompt or the network.
    pub fn lock(&self) -> Result<FileLock, Error> {
        Ok(files::lock(&self.lock_file(), PATIENCE)?)
    }

    /// Takes the lock that is held over the refresh of one connection.
    pub fn lock_connection(
        &self,
        provider: &str,
        connection: &str,
        patience: std::time::Duration,
    ) -> Result<FileLock, Error> {
        check_name("provider", provider)?;
        check_name("connection", connection)?;
        let folder = self.folder.join("locks").join(provider);
        files::make_folder(&self.folder.join("locks"))?;
        files::make_folder(&folder)?;
        Ok(files::lock(&folder.join(connection), patience)?)
    }

    /// Reads `metadata.json`.
    pub fn metadata(&self) -> Result<ProfileMetadata, Error> {
        let path = self.metadata_file();
        let content = files::read(&path, LIMIT)?.ok_or_else(|| Error::ProfileNotFound(self.name.clone()))?;
        serde_json::from_slice(&content).map_err(|source| Error::Settings { path, source })
    }
}
