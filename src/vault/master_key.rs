//! Where the master key comes from, and how it is first made.

mod file;
mod keyring;
mod new;
mod passphrase;

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::seal::SealingKey;
use crate::home::files::FileError;
use crate::home::{self, Encryption, EncryptionMode, Home};
use crate::secret::Secret;
pub(super) use file::parse;
pub(super) use keyring::of_python as of_python_keyring;
pub use keyring::{Keyring, KeyringError};
pub(super) use new::NewKey;
pub use passphrase::{Ask, Asked, Passphrase};

/// Why there is no usable master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The key is gone, and what it sealed is still there: a new key would lose it.
    #[error(
        "{what} is missing, and the store of profile {profile:?} is sealed already: put it back; \
         another kind of key is chosen with: authsome vault rekey"
    )]
    Missing {
        /// What should be there.
        what: String,
        /// A profile that needs it.
        profile: String,
    },
    /// It cannot be told whether a store needs the missing key.
    #[error("{what} is missing, and the store of profile {profile:?} cannot be examined")]
    Unknown {
        /// What should be there.
        what: String,
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
    /// There is neither a file with the passphrase nor anybody to ask.
    #[error("the vault is sealed with a passphrase: set AUTHSOME_PASSPHRASE_FILE, or call it at a terminal")]
    NoPassphrase,
    /// No passphrase at all.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// Not the one that the key was derived from.
    #[error("the passphrase is not the one that seals this vault")]
    WrongPassphrase,
    /// Typed differently the second time.
    #[error("the two passphrases differ")]
    PassphrasesDiffer,
    /// A key of another kind seals the store already.
    #[error("the store of profile {profile:?} is sealed already; run: authsome vault rekey --to {}", mode.as_str())]
    Settled {
        /// The mode that was asked for.
        mode: EncryptionMode,
        /// The profile.
        profile: String,
    },
    /// `config.json` asks for a derivation that is not carried out.
    #[error("the derivation in config.json (encryption.argon2id) cannot be used: {0}")]
    Derivation(&'static str),
    /// The keychain has no such entry.
    #[error("the keyring has no entry {0:?} of the service \"authsome\"")]
    NoEntry(String),
    /// The operating system's keychain.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
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
    Keyring(Keyring),
    /// Derived from a passphrase.
    Passphrase(Passphrase),
}

impl MasterKeySource {
    /// The source of a mode of `config.json`; the passphrase is used where the mode needs one.
    pub fn of_mode(mode: EncryptionMode, passphrase: &Passphrase) -> Self {
        match mode {
            EncryptionMode::LocalKey => Self::File,
            EncryptionMode::Keyring => Self::Keyring(Keyring::default()),
            EncryptionMode::Passphrase => Self::Passphrase(passphrase.clone()),
        }
    }

    /// The name that `whoami` shows.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "local_key",
            Self::Environment(_) | Self::EnvironmentFile(_) => "environment",
            Self::Keyring(_) => "keyring",
            Self::Passphrase(_) => "passphrase",
        }
    }

    /// Reads the key of a home again, wherever the home keeps it by now. Nobody is asked.
    pub(crate) fn renewed(&self, home: &Home) -> Option<MasterKey> {
        let nobody = match self {
            Self::Environment(_) => return None,
            Self::EnvironmentFile(path) => return file::read_mounted(path).ok(),
            Self::Passphrase(passphrase) => passphrase.asking_nobody(),
            Self::File | Self::Keyring(_) => Passphrase::default(),
        };
        let mode = home.settings().ok()?.encryption.mode;
        MasterKey::load(&Self::of_mode(mode, &nobody), home)
            .inspect_err(
                |error| tracing::warn!(%error, "the master key was replaced and cannot be read again"),
            )
            .ok()
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

    /// 32 random bytes.
    pub(super) fn generate() -> Result<Self, MasterKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|_| MasterKeyError::Random)?;
        Ok(Self(bytes))
    }

    /// What the envelopes of wrapped keys call it: no secret.
    pub(super) fn id(&self) -> String {
        SealingKey::named_by_digest(self.bytes()).kid().to_owned()
    }

    /// Reads the key; makes one when no store of the home has been sealed yet.
    ///
    /// # Errors
    /// When it is missing while a store needs it, readable by others, malformed or not available.
    pub fn load(source: &MasterKeySource, home: &Home) -> Result<Self, MasterKeyError> {
        match source {
            MasterKeySource::File => file::load_or_create(home),
            MasterKeySource::Environment(text) => {
                file::decode(text.expose().as_bytes()).ok_or(MasterKeyError::MalformedVariable)
            }
            MasterKeySource::EnvironmentFile(path) => file::read_mounted(path),
            MasterKeySource::Keyring(keyring) => keyring.load_or_create(home),
            MasterKeySource::Passphrase(passphrase) => passphrase.load_or_create(home),
        }
    }
}

/// Chooses where the key of a home is kept in which nothing is sealed yet.
///
/// # Errors
/// When something is, under another mode, or the home cannot be written.
pub fn choose(home: &Home, mode: EncryptionMode) -> Result<(), MasterKeyError> {
    let before = home.settings().map_err(Box::new)?.encryption;
    if before.mode == mode {
        return Ok(());
    }
    refuse_if_sealed(home, "").map_err(|error| match error {
        MasterKeyError::Missing { profile, .. } => MasterKeyError::Settled { mode, profile },
        other => other,
    })?;
    let after = Encryption { mode, rest: before.rest, ..Encryption::default() };
    home.change_settings(|settings| settings.encryption = after).map_err(Box::new)?;
    if let Some(entry) = &before.entry {
        keyring::forget(entry);
    }
    if mode != EncryptionMode::LocalKey {
        file::forget(home);
    }
    Ok(())
}

/// Refuses to make a key anew while some store of the home is sealed with the old one.
fn refuse_if_sealed(home: &Home, what: &str) -> Result<(), MasterKeyError> {
    for profile in home.profiles().map_err(Box::new)? {
        let store = home.profile(&profile).map_err(Box::new)?.store();
        if !store.try_exists().unwrap_or(true) {
            continue;
        }
        let what = what.to_owned();
        match super::is_sealed(&store) {
            Ok(false) => {}
            Ok(true) => return Err(MasterKeyError::Missing { what, profile }),
            Err(source) => return Err(MasterKeyError::Unknown { what, profile, source }),
        }
    }
    Ok(())
}
