//! Where the master key comes from, and how it is first made.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::home::files::{self, FileError};
use crate::home::{self, Home};
use crate::secret::Secret;

const LIMIT: u64 = 64 << 10;

/// Why there is no usable master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file is gone, and what it sealed is still there: a new key would lose it.
    #[error("{} is missing, but it sealed the store of profile {profile:?}; put the file back", path.display())]
    Missing {
        /// Where the key should be.
        path: PathBuf,
        /// A profile that needs it.
        profile: String,
    },
    /// It cannot be told whether a store needs the missing key.
    #[error("{} is missing, and the store of profile {profile:?} cannot be examined", path.display())]
    Unknown {
        /// Where the key should be.
        path: PathBuf,
        /// The profile.
        profile: String,
        /// Why.
        source: super::BackendError,
    },
    /// The environment names a key and a file of one.
    #[error("AUTHSOME_MASTER_KEY and AUTHSOME_MASTER_KEY_FILE are both set")]
    Twice,
    /// The named file does not exist.
    #[error("the master key file {} does not exist", .0.display())]
    NoSuchFile(PathBuf),
    /// The file's form or version is unknown.
    #[error("{} is no master key file of version 1 with an AES-256-GCM key", .0.display())]
    Malformed(PathBuf),
    /// The text is no key.
    #[error("AUTHSOME_MASTER_KEY is not 32 bytes in base64 or hexadecimal")]
    MalformedVariable,
    /// Not offered by this program.
    #[error("the key source {0:?} is not available in this build")]
    Unsupported(&'static str),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for a master key")]
    Random,
    /// The file cannot be used: readable by others, not ours, not there.
    #[error("the master key cannot be read or created")]
    File(#[from] FileError),
    /// The home's lock could not be had.
    #[error("the master key cannot be created")]
    Home(#[from] Box<home::Error>),
}

/// Where the master key comes from; read once, at the start.
#[derive(Clone)]
pub enum MasterKeySource {
    /// `master.key` in the home, created on first use.
    File,
    /// The value of `AUTHSOME_MASTER_KEY`.
    Environment(Secret<String>),
    /// The file that `AUTHSOME_MASTER_KEY_FILE` names: a mounted secret, whose mode is the platform's affair.
    EnvironmentFile(PathBuf),
    /// The operating system's keychain.
    Keyring,
    /// Derived from a passphrase.
    Passphrase,
}

impl MasterKeySource {
    /// The name that `whoami` shows.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "local_key",
            Self::Environment(_) | Self::EnvironmentFile(_) => "environment",
            Self::Keyring => "keyring",
            Self::Passphrase => "passphrase",
        }
    }
}

/// The key that wraps the data keys of a home's stores.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Takes 32 bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// Reads the key; makes `master.key` when no store of the home has been sealed yet.
    ///
    /// # Errors
    /// When it is missing while a store needs it, readable by others, malformed or not available.
    pub fn load(source: &MasterKeySource, home: &Home) -> Result<Self, MasterKeyError> {
        match source {
            MasterKeySource::File => load_or_create(home),
            MasterKeySource::Environment(text) => {
                decode(text.expose().as_bytes()).ok_or(MasterKeyError::MalformedVariable)
            }
            MasterKeySource::EnvironmentFile(path) => read_mounted(path),
            MasterKeySource::Keyring => Err(MasterKeyError::Unsupported("keyring")),
            MasterKeySource::Passphrase => Err(MasterKeyError::Unsupported("passphrase")),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    version: u32,
    key: String,
    algorithm: String,
    #[serde(default)]
    note: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

fn load_or_create(home: &Home) -> Result<MasterKey, MasterKeyError> {
    let path = home.master_key();
    if let Some(content) = files::read_private(&path, LIMIT)? {
        return parse(&path, &content);
    }
    let _lock = home.lock().map_err(Box::new)?;
    if let Some(content) = files::read_private(&path, LIMIT)? {
        return parse(&path, &content);
    }
    refuse_if_sealed(home, &path)?;
    create(&path)
}

fn refuse_if_sealed(home: &Home, path: &Path) -> Result<(), MasterKeyError> {
    for name in home.profiles().map_err(Box::new)? {
        let store = home.profile(&name).map_err(Box::new)?.store();
        if !store.try_exists().unwrap_or(true) {
            continue;
        }
        match super::is_sealed(&store) {
            Ok(false) => {}
            Ok(true) => return Err(MasterKeyError::Missing { path: path.to_owned(), profile: name }),
            Err(source) => {
                return Err(MasterKeyError::Unknown { path: path.to_owned(), profile: name, source });
            }
        }
    }
    Ok(())
}

fn create(path: &Path) -> Result<MasterKey, MasterKeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| MasterKeyError::Random)?;
    let content = KeyFile {
        version: 1,
        key: STANDARD.encode(*bytes),
        algorithm: "AES-256-GCM".to_owned(),
        note: "Master key of authsome. Whoever reads this file can open the vault.".to_owned(),
    };
    let mut text = Zeroizing::new(Vec::with_capacity(512));
    serde_json::to_writer_pretty(&mut *text, &content)
        .map_err(|_| MasterKeyError::Malformed(path.to_owned()))?;
    text.push(b'\n');
    if files::create(path, &text)? {
        return Ok(MasterKey(bytes));
    }
    let content = files::read_private(path, LIMIT)?;
    parse(path, &content.ok_or_else(|| MasterKeyError::NoSuchFile(path.to_owned()))?)
}

fn read_mounted(path: &Path) -> Result<MasterKey, MasterKeyError> {
    let content = match std::fs::read(path) {
        Ok(content) => Zeroizing::new(content),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(MasterKeyError::NoSuchFile(path.to_owned()));
        }
        Err(source) => {
            return Err(FileError::Io { action: "read", path: path.to_owned(), source }.into());
        }
    };
    match content.trim_ascii_start().first() {
        Some(b'{') => parse(path, &content),
        _ => decode(&content).ok_or_else(|| MasterKeyError::Malformed(path.to_owned())),
    }
}

fn parse(path: &Path, content: &[u8]) -> Result<MasterKey, MasterKeyError> {
    let malformed = || MasterKeyError::Malformed(path.to_owned());
    let file: KeyFile = serde_json::from_slice(content).map_err(|_| malformed())?;
    if file.version != 1 || file.algorithm != "AES-256-GCM" {
        return Err(malformed());
    }
    decode(file.key.as_bytes()).ok_or_else(malformed)
}

/// 32 bytes in base64 of either alphabet, padded or not, or in hexadecimal.
fn decode(text: &[u8]) -> Option<MasterKey> {
    let text = text.trim_ascii();
    if text.len() == 64 {
        return decode_hex(text);
    }
    let decoded = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(text).ok().map(Zeroizing::new))?;
    let bytes: [u8; 32] = decoded.as_slice().try_into().ok()?;
    Some(MasterKey(Zeroizing::new(bytes)))
}

fn decode_hex(text: &[u8]) -> Option<MasterKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |position: usize| char::from(*pair.get(position)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(MasterKey(bytes))
}
