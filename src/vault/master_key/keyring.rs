//! The operating system's keychain: the Secret Service on Linux, the Keychain on macOS.
//!
//! Both may ask a person to unlock them, and may never answer. Each call therefore has a thread of its own, which is
//! left behind when its time is over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{MasterKey, MasterKeyError, file, refuse_if_sealed};
use crate::home::{Home, Settings};

/// The user name of the Python edition's only entry.
const PYTHON_ENTRY: &str = "master_key";

/// How long the keychain may take, its question to a person included.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Why the keychain did not help.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Built without it.
    #[error("this build has no access to the keyring (feature os-keyring)")]
    NotBuilt,
    /// No answer in time.
    #[error(
        "the keyring did not answer within {} seconds: unlock it, and try again",
        PATIENCE.as_secs()
    )]
    Slow,
    /// It is absent, locked or refuses.
    #[error(
        "the keyring cannot be used ({0}): unlock or start the session's keyring, such as gnome-keyring or KWallet; \
         where there is none, use the mode local_key or passphrase"
    )]
    Refused(String),
    /// What it holds is no key.
    #[error("the keyring's entry {0:?} is no key of 32 bytes in base64")]
    Malformed(String),
}

/// The keychain, and what came of asking it, so that it is asked once.
#[derive(Clone, Default)]
pub struct Keyring {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    /// What an entry held.
    Key(String, Zeroizing<[u8; 32]>),
    /// It did not answer: nor will it the next time.
    Slow,
}

impl Keyring {
    /// The key of a home; where it has no entry yet and no sealed store, a new one.
    pub(super) fn load_or_create(&self, home: &Home) -> Result<MasterKey, MasterKeyError> {
        let entry = home.settings().map_err(Box::new)?.encryption.entry;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*kept, &entry) {
            (Kept::Slow, _) => return Err(KeyringError::Slow.into()),
            (Kept::Key(known, bytes), Some(entry)) if known == entry => {
                return Ok(MasterKey::new(bytes.clone()));
            }
            _ => {}
        }
        let found = match entry {
            Some(entry) => of_entry(home, &entry).map(|key| (key, entry)),
            None => of_new_entry(home),
        };
        match found {
            Ok((key, entry)) => {
                *kept = Kept::Key(entry, key.bytes());
                Ok(key)
            }
            Err(error) => {
                if matches!(error, MasterKeyError::Keyring(KeyringError::Slow)) {
                    *kept = Kept::Slow;
                }
                Err(error)
            }
        }
    }
}

fn of_entry(home: &Home, entry: &str) -> Result<MasterKey, MasterKeyError> {
    if let Some(key) = read(entry)? {
        return Ok(key);
    }
    refuse_if_sealed(home, &format!("the entry {entry:?} of the keyring"))?;
    let key = MasterKey::generate()?;
    write(entry, &key)?;
    Ok(key)
}

fn of_new_entry(home: &Home) -> Result<(MasterKey, String), MasterKeyError> {
    refuse_if_sealed(home, "the name of the keyring's entry in config.json")?;
    let (key, entry) = found()?;
    let mut present = entry.clone();
    let note = |settings: &mut Settings| {
        present.clone_from(settings.encryption.entry.get_or_insert_with(|| entry.clone()));
    };
    home.change_settings(note).map_err(Box::new)?;
    if present == entry {
        return Ok((key, entry));
    }
    // Another process was first.
    forget(&entry);
    Ok((of_entry(home, &present)?, present))
}

/// A new key in an entry of its own.
pub(super) fn found() -> Result<(MasterKey, String), MasterKeyError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| MasterKeyError::Random)?;
    let entry = random.iter().fold("master_key-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
    let key = MasterKey::generate()?;
    write(&entry, &key)?;
    Ok((key, entry))
}

/// The key that the Python edition keeps.
pub(in crate::vault) fn of_python() -> Result<MasterKey, MasterKeyError> {
    read(PYTHON_ENTRY)?.ok_or_else(|| MasterKeyError::NoEntry(PYTHON_ENTRY.to_owned()))
}

/// Removes an entry, if that can be done.
pub(super) fn forget(entry: &str) {
    if let Err(error) = system::remove(entry) {
        tracing::warn!(%error, entry, "an entry of the keyring is left behind");
    }
}

fn read(entry: &str) -> Result<Option<MasterKey>, MasterKeyError> {
    let Some(text) = system::get(entry)? else { return Ok(None) };
    let key = file::decode(&text).ok_or_else(|| KeyringError::Malformed(entry.to_owned()))?;
    Ok(Some(key))
}

fn write(entry: &str, key: &MasterKey) -> Result<(), MasterKeyError> {
    let text = Zeroizing::new(STANDARD.encode(*key.bytes()).into_bytes());
    Ok(system::set(entry, text)?)
}

#[cfg(not(all(feature = "os-keyring", any(target_os = "linux", target_os = "macos"))))]
mod system {
    use super::{KeyringError, Zeroizing};

    pub(super) fn get(_: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError> {
        Err(KeyringError::NotBuilt)
    }

    pub(super) fn set(_: &str, _: Zeroizing<Vec<u8>>) -> Result<(), KeyringError> {
        Err(KeyringError::NotBuilt)
    }

    pub(super) fn remove(_: &str) -> Result<(), KeyringError> {
        Err(KeyringError::NotBuilt)
    }
}

#[cfg(all(feature = "os-keyring", any(target_os = "linux", target_os = "macos")))]
mod system {
    use std::collections::HashMap;
    use std::sync::mpsc::sync_channel;

    #[cfg(target_os = "macos")]
    use apple_native_keyring_store::keychain::Store;
    use keyring_core::api::CredentialStoreApi;
    use keyring_core::{Entry, Error};
    #[cfg(target_os = "linux")]
    use zbus_secret_service_keyring_store::Store;

    use super::{KeyringError, PATIENCE, Zeroizing};

    /// The service that all entries belong to; the Python edition uses the same.
    const SERVICE: &str = "authsome";

    pub(super) fn get(entry: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError> {
        call(entry, |entry| match entry.get_secret() {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
    }

    pub(super) fn set(entry: &str, secret: Zeroizing<Vec<u8>>) -> Result<(), KeyringError> {
        call(entry, move |entry| entry.set_secret(&secret))
    }

    pub(super) fn remove(entry: &str) -> Result<(), KeyringError> {
        call(entry, |entry| match entry.delete_credential() {
            Err(Error::NoEntry) => Ok(()),
            outcome => outcome,
        })
    }

    fn call<T: Send + 'static>(
        user: &str,
        action: impl FnOnce(Entry) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let (sender, answer) = sync_channel(1);
        let user = user.to_owned();
        let work = move || {
            let label = HashMap::from([("label", "authsome master key")]);
            let modifiers = cfg!(target_os = "linux").then_some(&label);
            let outcome = Store::new()
                .and_then(|store| store.build(SERVICE, &user, modifiers))
                .and_then(action)
                .map_err(|error| KeyringError::Refused(error.to_string()));
            // Nobody waits any more when this fails.
            let _ = sender.send(outcome);
        };
        let thread = std::thread::Builder::new().name("keyring".to_owned()).spawn(work);
        thread.map_err(|error| KeyringError::Refused(error.to_string()))?;
        answer.recv_timeout(PATIENCE).unwrap_or(Err(KeyringError::Slow))
    }
}
