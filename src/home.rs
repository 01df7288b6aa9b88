//! The layout of `AUTHSOME_HOME`: every path and mode in it, its lock, its profiles.
//!
//! A home is made on first use, by however many processes at once: `version` is written first, under
//! the home's lock; whatever else is missing is then created without ever overwriting. A folder of
//! the Python edition is recognised before anything is written.

pub mod files;
mod profile;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Clock;
use files::{FileError, FileLock};
pub use profile::{Profile, ProfileMetadata};
pub use settings::{Derivation, Encryption, EncryptionMode, Foreign, Interception, Settings, Unsettled};

/// The store format that this program reads and writes. Formats 1 and 2 are the Python edition's (0.1.x and 0.2.x).
pub const FORMAT: u32 = 3;

/// How long a lock that is only ever held for a moment is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is a home of the Python edition.
    #[error("{path} is a home of the Python edition; take it over with: authsome vault import {path}", path = .0.display())]
    PythonHome(PathBuf),
    /// A folder that holds other things.
    #[error("{} is not empty and not a home of authsome", .0.display())]
    NotAHome(PathBuf),
    /// Written by another version of this program.
    #[error("{} has the store format {found:?}, this program knows {FORMAT}", path.display())]
    UnknownVersion {
        /// The home.
        path: PathBuf,
        /// What its `version` file says.
        found: String,
    },
    /// `config.json` or a profile's `metadata.json` is damaged.
    #[error("{} cannot be read as JSON of the expected form", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A name that could be no file name, or hide one.
    #[error(
        "{what} {name:?} is not a name: a letter or digit, then up to 63 of letters, digits, '-' and '_'"
    )]
    Name {
        /// What was to be named.
        what: &'static str,
        /// The text.
        name: String,
    },
    /// No such profile; it is never made by the way.
    #[error("there is no profile {0:?}; create it with: authsome profile create {0}")]
    ProfileNotFound(String),
    /// The profile is there already.
    #[error("profile {0:?} exists")]
    ProfileExists(String),
    /// A file or folder in it cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A folder with everything that `authsome` keeps.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Opens a home, creating what is missing.
    ///
    /// # Errors
    /// When the folder is the Python edition's, of an unknown version, something else altogether,
    /// another user's or writable by others, or when it cannot be written.
    pub fn open(root: &Path, clock: &dyn Clock) -> Result<Self, Error> {
        if let Some(parent) = root.parent() {
            fs::create_dir_all(parent).map_err(files::io_error("create", parent))?;
        }
        files::make_folder(root)?;
        let home = Self { root: root.to_owned() };
        if home.check_version()?.is_none() {
            home.check_free()?;
            let _lock = home.lock()?;
            if home.check_version()?.is_none() {
                tighten(root)?;
                files::replace(&home.version_file(), format!("{FORMAT}\n").as_bytes())?;
            }
        }
        home.complete(clock)?;
        Ok(home)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `version`
    pub fn version_file(&self) -> PathBuf {
        self.root.join("version")
    }

    /// `config.json`
    pub fn settings_file(&self) -> PathBuf {
        self.root.join("config.json")
    }

    /// `master.key`
    pub fn master_key(&self) -> PathBuf {
        self.root.join("master.key")
    }

    /// `audit.log`
    pub fn audit_log(&self) -> PathBuf {
        self.root.join("audit.log")
    }

    /// `ca/`
    pub fn ca_folder(&self) -> PathBuf {
        self.root.join("ca")
    }

    /// `ca/ca.pem`
    pub fn ca_certificate(&self) -> PathBuf {
        self.root.join("ca/ca.pem")
    }

    /// `ca/ca.key`
    pub fn ca_key(&self) -> PathBuf {
        self.root.join("ca/ca.key")
    }

    /// `providers/`
    pub fn providers_folder(&self) -> PathBuf {
        self.root.join("providers")
    }

    /// `proxy.token`
    pub fn proxy_token(&self) -> PathBuf {
        self.root.join("proxy.token")
    }

    /// `logs/`
    pub fn logs_folder(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// `lock`
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Takes the home's lock: for `config.json`, the master key's creation and the audit log's rotation.
    pub fn lock(&self) -> Result<FileLock, Error> {
        Ok(files::lock(&self.lock_file(), PATIENCE)?)
    }

    /// Reads `config.json`.
    pub fn settings(&self) -> Result<Settings, Error> {
        Settings::read(&self.root)
    }

    /// Changes `config.json` under the home's lock.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) -> Result<(), Error> {
        self.change_settings_under(&self.lock()?, change)
    }

    /// As [`change_settings`](Self::change_settings), for whoever holds the home's lock.
    pub fn change_settings_under(
        &self,
        _lock: &FileLock,
        change: impl FnOnce(&mut Settings),
    ) -> Result<(), Error> {
        let mut settings = self.settings()?;
        change(&mut settings);
        check_name("default_profile", &settings.default_profile)?;
        Ok(files::replace(&self.settings_file(), &settings.to_json())?)
    }

    /// A profile that exists.
    pub fn profile(&self, name: &str) -> Result<Profile, Error> {
        Profile::open(&self.root, name)
    }

    /// Creates a profile.
    pub fn create_profile(
        &self,
        name: &str,
        description: Option<&str>,
        clock: &dyn Clock,
    ) -> Result<Profile, Error> {
        let _lock = self.lock()?;
        match self.profile(name) {
            Ok(_) => Err(Error::ProfileExists(name.to_owned())),
            Err(Error::ProfileNotFound(_)) => Profile::create(&self.root, name, description, clock),
            Err(error) => Err(error),
        }
    }

    /// The names of all profiles, sorted.
    pub fn profiles(&self) -> Result<Vec<String>, Error> {
        let folder = self.root.join("profiles");
        let mut names: Vec<String> = fs::read_dir(&folder)
            .map_err(files::io_error("list", &folder))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_name(name) && self.profile(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// The format, when the home has one that we know.
    fn check_version(&self) -> Result<Option<u32>, Error> {
        let Some(content) = files::read(&self.version_file(), 64)? else {
            return Ok(None);
        };
        match String::from_utf8_lossy(&content).trim() {
            "1" | "2" => Err(Error::PythonHome(self.root.clone())),
            text if text == FORMAT.to_string() => Ok(Some(FORMAT)),
            text => Err(Error::UnknownVersion { path: self.root.clone(), found: text.to_owned() }),
        }
    }

    /// Refuses a folder without `version` that is the Python edition's or holds other things.
    fn check_free(&self) -> Result<(), Error> {
        let entries = fs::read_dir(&self.root).map_err(files::io_error("list", &self.root))?;
        let names: Vec<String> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !may_precede_version(name))
            .collect();
        // Another process may have written `version`, and then the rest, since it was looked for.
        if names.is_empty() || self.check_version()?.is_some() {
            return Ok(());
        }
        let python = names.iter().any(|name| PYTHON_ENTRIES.contains(&name.as_str()));
        let error = if python { Error::PythonHome } else { Error::NotAHome };
        Err(error(self.root.clone()))
    }

    /// Creates whatever else is missing; nothing that exists is touched.
    fn complete(&self, clock: &dyn Clock) -> Result<(), Error> {
        for folder in ["providers", "profiles", "logs"] {
            files::make_folder(&self.root.join(folder))?;
        }
        if !self.settings_file().try_exists().unwrap_or(true) {
            files::create(&self.settings_file(), &Settings::default().to_json())?;
        }
        match self.profile("default") {
            Ok(_) => Ok(()),
            Err(Error::ProfileNotFound(_)) => {
                Profile::create(&self.root, "default", Some("Default profile"), clock).map(drop)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a text can name a profile or a connection: `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`.
pub fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.len() <= 64
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Checks the name of a profile or a connection.
pub fn check_name(what: &'static str, name: &str) -> Result<(), Error> {
    if is_name(name) { Ok(()) } else { Err(Error::Name { what, name: name.to_owned() }) }
}

/// What the Python edition keeps in its home and ours never has before `version`.
const PYTHON_ENTRIES: [&str; 6] = ["profiles", "identities", "server", "client", "kv_store", "daemon"];

/// What a user or an image may have put into a home before its first use, or we before `version`.
fn may_precede_version(name: &str) -> bool {
    matches!(name, "lock" | "config.json" | "providers" | "logs" | "master.key" | "lost+found")
        || name.starts_with(".new-")
}

fn tighten(root: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(root, fs::Permissions::from_mode(0o700)).map_err(files::io_error("protect", root))
}

#[cfg(test)]
mod tests;
