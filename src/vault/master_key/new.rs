//! A key that is to take another's place.

use super::{MasterKey, MasterKeyError, Passphrase, file, keyring};
use crate::home::{Derivation, Encryption, EncryptionMode, Home};

/// A new key and where it is kept. What is in the keyring is there already; `master.key` is not written yet.
pub(in crate::vault) struct NewKey {
    key: MasterKey,
    place: Place,
}

enum Place {
    File,
    Keyring(String),
    Derived(Derivation),
}

impl NewKey {
    /// Makes a key of a mode.
    pub(in crate::vault) fn make(
        mode: EncryptionMode,
        passphrase: &Passphrase,
    ) -> Result<Self, MasterKeyError> {
        let (key, place) = match mode {
            EncryptionMode::LocalKey => (MasterKey::generate()?, Place::File),
            EncryptionMode::Keyring => {
                let (key, entry) = keyring::found()?;
                (key, Place::Keyring(entry))
            }
            EncryptionMode::Passphrase => {
                let (key, derivation) = passphrase.found()?;
                (key, Place::Derived(derivation))
            }
        };
        Ok(Self { key, place })
    }

    pub(in crate::vault) fn key(&self) -> &MasterKey {
        &self.key
    }

    /// Writes `master.key`, where that is the place.
    pub(in crate::vault) fn put_in_place(&self, home: &Home) -> Result<(), MasterKeyError> {
        match self.place {
            Place::File => file::replace(home, &self.key),
            Place::Keyring(_) | Place::Derived(_) => Ok(()),
        }
    }

    /// The block of `config.json` that names it, in the place of another.
    pub(in crate::vault) fn encryption(&self, before: &Encryption) -> Encryption {
        let rest = before.rest.clone();
        let (mode, entry, argon2id) = match &self.place {
            Place::File => (EncryptionMode::LocalKey, None, None),
            Place::Keyring(entry) => (EncryptionMode::Keyring, Some(entry.clone()), None),
            Place::Derived(derivation) => (EncryptionMode::Passphrase, None, Some(derivation.clone())),
        };
        Encryption { mode, entry, argon2id, rest }
    }

    /// Removes what the old key was in, as far as that can be done.
    pub(in crate::vault) fn forget_old(&self, home: &Home, before: &Encryption) {
        if let Some(entry) = &before.entry {
            keyring::forget(entry);
        }
        if !matches!(self.place, Place::File) {
            file::forget(home);
        }
    }

    /// Removes it again, as far as that can be done.
    pub(in crate::vault) fn abandon(&self) {
        if let Place::Keyring(entry) = &self.place {
            keyring::forget(entry);
        }
    }
}
