//! A new master key for a home, and new data keys for its stores.
//!
//! Whenever the process dies, the key that the home then names opens every store:
//!
//! 1. the new key is made, and put into the keyring if that is where it goes: nothing uses it yet;
//! 2. each store, in one commit, gets a new data key that *both* master keys open, and its records sealed with it;
//! 3. the home names the new key: one rename, of `master.key` or of `config.json`;
//! 4. each store's data key is wrapped by the new key alone, and the old one is removed.
//!
//! Other writers wait meanwhile; whoever has the old key in memory reads the new one when it needs it.

use crate::home::files::FileLock;
use crate::home::{self, Encryption, EncryptionMode, Home};

use super::data_keys::{META, wrap};
use super::master_key::NewKey;
use super::seal::SealingKey;
use super::{
    Change, Exclusive, Expected, MasterKey, MasterKeyError, MasterKeySource, Passphrase, Vault, VaultError,
};

/// Why a home has no new master key.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// The environment gives the key, and only whoever sets it can change it.
    #[error(
        "the environment gives the master key, so it cannot be replaced here: write that key into master.key, \
         unset the variable, then call authsome vault rekey"
    )]
    FromEnvironment,
    /// The old key cannot be had, or the new one not be stored.
    #[error("the master key cannot be replaced")]
    Key(#[from] MasterKeyError),
    /// A store cannot be sealed anew.
    #[error("the store of profile {profile:?} cannot be sealed anew")]
    Store {
        /// The profile.
        profile: String,
        /// Why.
        source: VaultError,
    },
    /// The home cannot be read, locked or written.
    #[error("the home cannot be changed")]
    Home(#[from] home::Error),
    /// Somebody else replaced the key, or made a profile, at the same time.
    #[error("the home was changed meanwhile; try again")]
    Changed,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rekeyed {
    /// The stores.
    pub profiles: usize,
    /// Their records.
    pub records: usize,
}

/// What is about to happen; a test can make it the last thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Reseal,
    Switch,
    Settle,
    Forget,
}

/// Replaces the master key of a home, which comes `from` a source, by a new one of a mode. Blocks while a person is
/// asked or the keyring unlocked.
///
/// # Errors
/// When the old key cannot be had, a record does not open, or something cannot be written. What was sealed opens as
/// before, or with the new key where the home names it already.
pub fn rekey(
    home: &Home,
    from: &MasterKeySource,
    to: EncryptionMode,
    passphrase: &Passphrase,
) -> Result<Rekeyed, RekeyError> {
    run(home, from, (to, passphrase), &mut |_| Ok(()))
}

fn run(
    home: &Home,
    from: &MasterKeySource,
    (mode, passphrase): (EncryptionMode, &Passphrase),
    watch: &mut dyn FnMut(Step) -> Result<(), RekeyError>,
) -> Result<Rekeyed, RekeyError> {
    if matches!(from, MasterKeySource::Environment(_) | MasterKeySource::EnvironmentFile(_)) {
        return Err(RekeyError::FromEnvironment);
    }
    let old = MasterKey::load(from, home)?;
    let before = home.settings()?.encryption;
    let names = home.profiles()?;
    let vaults = names.iter().map(|name| open(home, name, &old)).collect::<Result<Vec<_>, _>>()?;
    let new = NewKey::make(mode, passphrase)?;
    let lock = home.lock()?;
    let stores = vaults.iter().map(Store::lock).collect::<Result<Vec<_>, _>>()?;
    if home.settings()?.encryption != before || home.profiles()? != names {
        new.abandon();
        return Err(RekeyError::Changed);
    }
    let keys = Keys::new(&old, new.key());
    let mut records = 0;
    for store in &stores {
        watch(Step::Reseal)?;
        records += store.reseal(&keys)?;
    }
    watch(Step::Switch)?;
    switch(home, &lock, &before, &new)?;
    for store in &stores {
        watch(Step::Settle)?;
        store.settle(&keys)?;
    }
    watch(Step::Forget)?;
    new.forget_old(home, &before);
    Ok(Rekeyed { profiles: stores.len(), records })
}

fn open(home: &Home, name: &str, old: &MasterKey) -> Result<Vault, RekeyError> {
    let failed = |source| RekeyError::Store { profile: name.to_owned(), source };
    let vault = Vault::open(&home.profile(name)?, old).map_err(failed)?;
    vault.verify().map_err(failed)?;
    Ok(vault)
}

/// Makes the home name the new key, by one rename.
fn switch(home: &Home, lock: &FileLock, before: &Encryption, new: &NewKey) -> Result<(), RekeyError> {
    new.put_in_place(home)?;
    let after = new.encryption(before);
    if after != *before {
        home.change_settings_under(lock, |settings| settings.encryption = after)?;
    }
    Ok(())
}

struct Keys {
    old: SealingKey,
    new: SealingKey,
}

impl Keys {
    fn new(old: &MasterKey, new: &MasterKey) -> Self {
        let named = |key: &MasterKey| SealingKey::named_by_digest(key.bytes());
        Self { old: named(old), new: named(new) }
    }
}

/// A store whose other writers wait.
struct Store<'a> {
    exclusive: Exclusive<'a>,
}

impl<'a> Store<'a> {
    fn lock(vault: &'a Vault) -> Result<Self, RekeyError> {
        let failed = |source| RekeyError::Store { profile: Self::name(vault), source };
        Ok(Self { exclusive: vault.exclusive().map_err(failed)? })
    }

    fn name(vault: &Vault) -> String {
        vault.profile().map(|profile| profile.name().to_owned()).unwrap_or_default()
    }

    /// Seals all records with a new data key that both master keys open; says how many.
    fn reseal(&self, keys: &Keys) -> Result<usize, RekeyError> {
        self.named(|vault| {
            let fresh = SealingKey::generate().map_err(VaultError::DataKeys)?;
            let wrapped = wrap(&fresh, &keys.new, Some(&keys.old)).map_err(VaultError::DataKeys)?;
            let mut writes = Vec::new();
            for (key, item) in vault.scan("")? {
                let item = item?;
                let change = Change::put(key, item.value).expecting(Expected::Version(item.version));
                writes.push(change.sealed(&fresh)?);
            }
            self.exclusive.commit(&writes, Some((META, &wrapped)))?;
            Ok(writes.len())
        })
    }

    /// Takes the old master key's wrapping away.
    fn settle(&self, keys: &Keys) -> Result<(), RekeyError> {
        self.named(|vault| {
            let active = vault.keys.active(&*vault.backend)?;
            let wrapped = wrap(&active, &keys.new, None).map_err(VaultError::DataKeys)?;
            self.exclusive.commit(&[], Some((META, &wrapped))).map(drop)
        })
    }

    fn named<T>(&self, action: impl FnOnce(&Vault) -> Result<T, VaultError>) -> Result<T, RekeyError> {
        let vault = self.exclusive.vault;
        action(vault).map_err(|source| RekeyError::Store { profile: Self::name(vault), source })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::clock::SystemClock;
    use crate::secret::Secret;

    struct Place {
        folder: tempfile::TempDir,
        home: Home,
        step: usize,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let home = Home::open(&folder.path().join("home"), &SystemClock).unwrap();
            for name in ["empty", "work"] {
                home.create_profile(name, None, &SystemClock).unwrap();
            }
            let place = Self { folder, home, step: 0 };
            for (profile, value) in [("default", "sk-one"), ("work", "sk-two")] {
                place.vault(profile).put("record", Secret::new(value.into())).unwrap();
            }
            place
        }

        fn passphrase(&self, text: &str) -> Passphrase {
            let path = self.file(text);
            fs::write(&path, text).unwrap();
            Passphrase::in_file(Some(path))
        }

        fn file(&self, text: &str) -> PathBuf {
            self.folder.path().join(text)
        }

        /// What a process that starts now takes the key from.
        fn source(&self) -> MasterKeySource {
            let encryption = self.home.settings().unwrap().encryption;
            // Each step has a passphrase of its own; the derivation says which is in force.
            let texts = (0..=self.step).map(|step| self.passphrase(&format!("passphrase-{step}")));
            let fits = |source: &MasterKeySource| MasterKey::load(source, &self.home).is_ok();
            let sources = texts.map(|text| MasterKeySource::of_mode(encryption.mode, &text));
            sources.into_iter().find(fits).unwrap()
        }

        fn vault(&self, profile: &str) -> Vault {
            let key = MasterKey::load(&self.source(), &self.home).unwrap();
            Vault::open(&self.home.profile(profile).unwrap(), &key).unwrap()
        }

        #[track_caller]
        fn holds_everything(&self) {
            for (profile, value) in [("default", "sk-one"), ("work", "sk-two")] {
                let found = self.vault(profile).get("record").unwrap().unwrap();
                assert_eq!(found.value.expose(), value.as_bytes());
            }
        }

        /// Replaces the key, as far as a number of steps.
        fn rekey(&mut self, mode: EncryptionMode, steps: usize) -> Result<Rekeyed, RekeyError> {
            self.step += 1;
            let passphrase = self.passphrase(&format!("passphrase-{}", self.step));
            let mut left = steps;
            run(&self.home, &self.source(), (mode, &passphrase), &mut |_| {
                left = left.checked_sub(1).ok_or(RekeyError::Changed)?;
                Ok(())
            })
        }

        fn wrapped(&self, profile: &str) -> String {
            let vault = self.vault(profile);
            String::from_utf8(vault.backend.meta(META).unwrap().unwrap()).unwrap()
        }
    }

    /// Three stores sealed anew, the switch, three stores settled, the old key removed.
    const STEPS: usize = 8;

    #[test]
    fn whatever_step_is_the_last_the_key_that_the_home_names_opens_every_store() {
        use EncryptionMode::{LocalKey, Passphrase};
        for (from, to) in
            [(LocalKey, LocalKey), (LocalKey, Passphrase), (Passphrase, Passphrase), (Passphrase, LocalKey)]
        {
            for steps in 0..=STEPS {
                let mut place = Place::new();
                place.rekey(from, STEPS).unwrap();
                let cut = place.rekey(to, steps);
                assert_eq!(cut.is_ok(), steps == STEPS, "{from:?} {to:?} {steps}");
                place.holds_everything();
                // A writer in between, and the whole again.
                place.vault("empty").put("late", Secret::new(b"x".to_vec())).unwrap();
                let done = place.rekey(to, STEPS).unwrap();
                assert_eq!(done, Rekeyed { profiles: 3, records: 3 });
                place.holds_everything();
                assert!(!place.wrapped("default").contains("outgoing"));
            }
        }
    }

    #[test]
    fn the_old_key_opens_nothing_any_more_and_no_file_keeps_it() {
        let mut place = Place::new();
        let old = MasterKey::load(&place.source(), &place.home).unwrap();
        let kept = fs::read(place.home.master_key()).unwrap();
        let data_key = place.wrapped("default");
        place.rekey(EncryptionMode::LocalKey, STEPS).unwrap();
        assert_ne!(fs::read(place.home.master_key()).unwrap(), kept);
        assert_ne!(place.wrapped("default"), data_key);
        for profile in ["default", "empty", "work"] {
            let profile = place.home.profile(profile).unwrap();
            assert!(matches!(Vault::open(&profile, &old), Err(VaultError::WrongMasterKey)));
        }
        place.rekey(EncryptionMode::Passphrase, STEPS).unwrap();
        assert!(!place.home.master_key().exists());
        place.holds_everything();
    }

    #[test]
    fn who_has_the_old_key_in_memory_reads_and_writes_on_with_the_new_one_or_is_refused() {
        let mut place = Place::new();
        let (renewing, stale) = (place.vault("default"), place.vault("default"));
        let first = place.vault("empty");
        let home = place.home.clone();
        renewing.renew_by(move || MasterKey::load(&MasterKeySource::File, &home).ok());
        place.rekey(EncryptionMode::LocalKey, STEPS).unwrap();
        assert!(matches!(stale.get("record"), Err(VaultError::WrongMasterKey)));
        let write = |vault: &Vault| vault.put("later", Secret::new(b"new".to_vec()));
        assert!(matches!(write(&stale), Err(VaultError::WrongMasterKey)));
        assert!(
            matches!(write(&first), Err(VaultError::WrongMasterKey)),
            "nothing is sealed with a key that is gone"
        );
        assert_eq!(renewing.get("record").unwrap().unwrap().value.expose(), b"sk-one");
        write(&renewing).unwrap();
        assert_eq!(place.vault("default").get("later").unwrap().unwrap().value.expose(), b"new");
        place.holds_everything();
    }

    #[test]
    fn a_record_that_does_not_open_stops_it_before_anything_is_changed() {
        let mut place = Place::new();
        let vault = place.vault("work");
        vault.backend.put("damaged", b"{}").unwrap();
        let before = (place.wrapped("default"), fs::read(place.home.master_key()).unwrap());
        let error = place.rekey(EncryptionMode::LocalKey, STEPS).unwrap_err();
        assert!(matches!(&error, RekeyError::Store { profile, .. } if profile == "work"), "{error}");
        assert_eq!((place.wrapped("default"), fs::read(place.home.master_key()).unwrap()), before);
    }

    #[test]
    fn a_key_of_the_environment_is_not_replaced() {
        let place = Place::new();
        let source = MasterKeySource::Environment("ab".repeat(32).as_str().into());
        let error =
            rekey(&place.home, &source, EncryptionMode::LocalKey, &Passphrase::default()).unwrap_err();
        assert!(matches!(error, RekeyError::FromEnvironment));
        place.holds_everything();
    }
}
