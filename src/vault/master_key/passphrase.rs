//! A master key that is kept nowhere: Argon2id (RFC 9106) makes it from a passphrase.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{MasterKey, MasterKeyError, refuse_if_sealed};
use crate::home::files::io_error;
use crate::home::{Derivation, Home};
use crate::secret::Secret;

/// The second choice of RFC 9106 section 4: 64 MiB, 3 passes, 4 lanes.
const MEMORY_KIB: u32 = if cfg!(test) { 64 } else { 64 << 10 };
const PASSES: u32 = 3;
const LANES: u32 = 4;
const SALT: usize = 16;
/// More than this is not adopted from a file: a gibibyte of memory, and some ten seconds of work.
const MAX_MEMORY_KIB: u32 = 1 << 20;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;
const LIMIT: u64 = 64 << 10;
/// So often a person may mistype.
const TRIES: usize = 3;

/// What a person is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The passphrase that seals the vault.
    Present,
    /// One that is to seal it from now on.
    New,
    /// The same again.
    NewAgain,
}

/// Asks a person; `None` when there is nobody, or the person gave up.
pub type Ask = Arc<dyn Fn(Asked) -> Option<Secret<String>> + Send + Sync>;

/// Where a passphrase comes from: a file, else a person. What came of it is kept for the life of the process.
#[derive(Clone, Default)]
pub struct Passphrase {
    file: Option<PathBuf>,
    ask: Option<Ask>,
    kept: Arc<Mutex<Kept>>,
}

/// What came of asking, so that it is asked once.
#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    Derived(Derivation, Zeroizing<[u8; 32]>),
    NoAnswer,
    Wrong,
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Passphrase {
    /// Reads it from a file.
    pub fn in_file(path: Option<PathBuf>) -> Self {
        Self { file: path, ..Self::default() }
    }

    /// Asks a person where there is no file.
    #[must_use]
    pub fn asking(mut self, ask: Ask) -> Self {
        self.ask = Some(ask);
        self
    }

    /// The same file, and what was derived, without a person.
    #[must_use]
    pub fn asking_nobody(&self) -> Self {
        Self { ask: None, ..self.clone() }
    }

    /// The same person, another file, and nothing derived yet.
    #[must_use]
    pub fn another(&self, file: Option<PathBuf>) -> Self {
        Self { file, ask: self.ask.clone(), kept: Arc::default() }
    }

    /// The master key of a home; where it has no derivation yet and no sealed store, a new one.
    pub(super) fn load_or_create(&self, home: &Home) -> Result<MasterKey, MasterKeyError> {
        if let Some(derivation) = home.settings().map_err(Box::new)?.encryption.argon2id {
            return self.derive_known(&derivation);
        }
        refuse_if_sealed(home, "the derivation in config.json")?;
        let (key, derivation) = self.found()?;
        let mut first = false;
        let note = |settings: &mut crate::home::Settings| {
            first = settings.encryption.argon2id.is_none();
            settings.encryption.argon2id.get_or_insert(derivation);
        };
        home.change_settings(note).map_err(Box::new)?;
        if first { Ok(key) } else { self.load_or_create(home) }
    }

    /// A new key, and how it is derived.
    pub(super) fn found(&self) -> Result<(MasterKey, Derivation), MasterKeyError> {
        let text = self.new_text()?;
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|_| MasterKeyError::Random)?;
        let mut derivation = Derivation {
            salt: STANDARD.encode(salt),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            key_id: String::new(),
        };
        let key = derive(&text, &derivation)?;
        derivation.key_id = key.id();
        *self.kept() = Kept::Derived(derivation.clone(), key.bytes());
        Ok((key, derivation))
    }

    fn derive_known(&self, derivation: &Derivation) -> Result<MasterKey, MasterKeyError> {
        let mut kept = self.kept();
        match &*kept {
            Kept::Derived(known, bytes) if known == derivation => return Ok(MasterKey::new(bytes.clone())),
            Kept::NoAnswer => return Err(MasterKeyError::NoPassphrase),
            Kept::Wrong => return Err(MasterKeyError::WrongPassphrase),
            Kept::Nothing | Kept::Derived(..) => {}
        }
        let found = self.try_known(derivation);
        *kept = match &found {
            Ok(key) => Kept::Derived(derivation.clone(), key.bytes()),
            // A file may have another content the next time.
            Err(_) if self.file.is_some() => Kept::Nothing,
            Err(MasterKeyError::WrongPassphrase) => Kept::Wrong,
            Err(_) => Kept::NoAnswer,
        };
        found
    }

    fn try_known(&self, derivation: &Derivation) -> Result<MasterKey, MasterKeyError> {
        let tries = if self.file.is_some() { 1 } else { TRIES };
        for _ in 0..tries {
            let key = derive(&self.text(Asked::Present)?, derivation)?;
            if key.id() == derivation.key_id {
                return Ok(key);
            }
        }
        Err(MasterKeyError::WrongPassphrase)
    }

    fn new_text(&self) -> Result<Secret<String>, MasterKeyError> {
        let text = self.text(Asked::New)?;
        if self.file.is_none() && !text.matches(self.text(Asked::NewAgain)?.expose().as_bytes()) {
            return Err(MasterKeyError::PassphrasesDiffer);
        }
        Ok(text)
    }

    fn text(&self, asked: Asked) -> Result<Secret<String>, MasterKeyError> {
        let text = match (&self.file, &self.ask) {
            (Some(path), _) => read(path)?,
            (None, Some(ask)) => ask(asked).ok_or(MasterKeyError::NoPassphrase)?,
            (None, None) => return Err(MasterKeyError::NoPassphrase),
        };
        if text.expose().is_empty() { Err(MasterKeyError::EmptyPassphrase) } else { Ok(text) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first line end behind the passphrase is none of it.
fn read(path: &std::path::Path) -> Result<Secret<String>, MasterKeyError> {
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    File::open(path)
        .and_then(|file| file.take(LIMIT).read_to_end(&mut content))
        .map_err(io_error("read the passphrase in", path))?;
    let text = std::str::from_utf8(&content).map_err(|_| MasterKeyError::Malformed(path.to_owned()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(Secret::from(text.strip_suffix('\r').unwrap_or(text)))
}

fn derive(text: &Secret<String>, derivation: &Derivation) -> Result<MasterKey, MasterKeyError> {
    let Derivation { memory_kib, passes, lanes, .. } = *derivation;
    let bounded = (1..=MAX_LANES).contains(&lanes)
        && (1..=MAX_PASSES).contains(&passes)
        && (8 * lanes..=MAX_MEMORY_KIB).contains(&memory_kib);
    if !bounded {
        return Err(MasterKeyError::Derivation("it is outside of what is sane"));
    }
    let salt = STANDARD.decode(&derivation.salt).ok().filter(|salt| (8..=64).contains(&salt.len()));
    let salt = salt.ok_or(MasterKeyError::Derivation("its salt is not 8 to 64 bytes in base64"))?;
    let failed = |_| MasterKeyError::Derivation("there is not enough memory for it");
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(failed)?;
    let mut bytes = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(text.expose().as_bytes(), &salt, &mut *bytes)
        .map_err(failed)?;
    Ok(MasterKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derivation(memory_kib: u32, passes: u32, lanes: u32) -> Derivation {
        let salt = STANDARD.encode([2; SALT]);
        Derivation { salt, memory_kib, passes, lanes, key_id: String::new() }
    }

    #[test]
    fn the_derivation_is_argon2id_as_others_compute_it() {
        // `printf %s password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32 -r`, of the reference implementation.
        let mut reference = derivation(64 << 10, 2, 1);
        reference.salt = STANDARD.encode("somesalt");
        let key = derive(&"password".into(), &reference).unwrap();
        let hex: String = key.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }

    #[test]
    fn a_derivation_that_would_exhaust_the_machine_is_refused_at_once() {
        let text = Secret::from("correct horse");
        for (memory, passes, lanes) in [
            (u32::MAX, 1, 1),
            (MAX_MEMORY_KIB + 1, 1, 1),
            (64, u32::MAX, 1),
            (64, 1, 64),
            (64, 0, 1),
            (7, 1, 1),
        ] {
            let refused = derive(&text, &derivation(memory, passes, lanes));
            assert!(matches!(refused, Err(MasterKeyError::Derivation(_))), "{memory} {passes} {lanes}");
        }
        for salt in ["", "!", "AAAA"] {
            let derivation = Derivation { salt: salt.to_owned(), ..derivation(64, 1, 1) };
            assert!(matches!(derive(&text, &derivation), Err(MasterKeyError::Derivation(_))), "{salt:?}");
        }
        assert!(derive(&text, &derivation(64, 1, 1)).is_ok());
    }

    #[test]
    fn a_person_is_asked_once_for_a_known_passphrase_and_twice_for_a_new_one() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let ask: Ask = Arc::new(move |what| {
            log.lock().unwrap().push(what);
            Some("correct horse".into())
        });
        let first = Passphrase::default().asking(Arc::clone(&ask));
        let (key, derivation) = first.found().unwrap();
        assert_eq!(*first.derive_known(&derivation).unwrap().bytes(), *key.bytes());
        assert_eq!(*asked.lock().unwrap(), [Asked::New, Asked::NewAgain]);
        let second = first.another(None);
        for passphrase in [&second, &second.clone()] {
            assert_eq!(*passphrase.derive_known(&derivation).unwrap().bytes(), *key.bytes());
        }
        assert_eq!(asked.lock().unwrap().len(), 3);
        let wrong = Passphrase::default().asking(Arc::new(|_| Some("battery staple".into())));
        assert!(matches!(wrong.derive_known(&derivation), Err(MasterKeyError::WrongPassphrase)));
        let nobody = Passphrase::default().asking(Arc::new(|_| None));
        assert!(matches!(nobody.derive_known(&derivation), Err(MasterKeyError::NoPassphrase)));
        let unsure = Passphrase::default().asking(Arc::new(|what| Some(format!("{what:?}").into())));
        assert!(matches!(unsure.found(), Err(MasterKeyError::PassphrasesDiffer)));
    }
}
