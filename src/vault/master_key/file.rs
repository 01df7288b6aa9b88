//! `master.key`, and keys that are given as text.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{MasterKey, MasterKeyError, refuse_if_sealed};
use crate::home::Home;
use crate::home::files::{self, FileError};

const LIMIT: u64 = 64 << 10;

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

/// Reads `master.key`, and makes it when no store has been sealed yet.
pub(super) fn load_or_create(home: &Home) -> Result<MasterKey, MasterKeyError> {
    if let Some(key) = read(home)? {
        return Ok(key);
    }
    let _lock = home.lock().map_err(Box::new)?;
    if let Some(key) = read(home)? {
        return Ok(key);
    }
    let path = home.master_key();
    refuse_if_sealed(home, &path.display().to_string())?;
    let key = MasterKey::generate()?;
    if files::create(&path, &content(&path, &key)?)? {
        return Ok(key);
    }
    read(home)?.ok_or(MasterKeyError::NoSuchFile(path))
}

/// Puts a key in the place of the one in `master.key`.
pub(super) fn replace(home: &Home, key: &MasterKey) -> Result<(), MasterKeyError> {
    let path = home.master_key();
    Ok(files::replace(&path, &content(&path, key)?)?)
}

/// Removes `master.key`, if that can be done.
pub(super) fn forget(home: &Home) {
    let path = home.master_key();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "{} is left behind", path.display());
        }
        _ => {}
    }
}

fn read(home: &Home) -> Result<Option<MasterKey>, MasterKeyError> {
    let path = home.master_key();
    files::read_private(&path, LIMIT)?.map(|content| parse(&path, &content)).transpose()
}

fn content(path: &Path, key: &MasterKey) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
    let content = KeyFile {
        version: 1,
        key: STANDARD.encode(*key.bytes()),
        algorithm: "AES-256-GCM".to_owned(),
        note: "Master key of authsome. Whoever reads this file can open the vault.".to_owned(),
    };
    let mut text = Zeroizing::new(Vec::with_capacity(512));
    serde_json::to_writer_pretty(&mut *text, &content)
        .map_err(|_| MasterKeyError::Malformed(path.to_owned()))?;
    text.push(b'\n');
    Ok(text)
}

/// Reads a file that the environment names: such a JSON file, or the key alone.
pub(super) fn read_mounted(path: &Path) -> Result<MasterKey, MasterKeyError> {
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

/// Reads the content of a key file.
pub(in crate::vault) fn parse(path: &Path, content: &[u8]) -> Result<MasterKey, MasterKeyError> {
    let malformed = || MasterKeyError::Malformed(path.to_owned());
    let file: KeyFile = serde_json::from_slice(content).map_err(|_| malformed())?;
    if file.version != 1 || file.algorithm != "AES-256-GCM" {
        return Err(malformed());
    }
    decode(file.key.as_bytes()).ok_or_else(malformed)
}

/// 32 bytes in base64 of either alphabet, padded or not, or in hexadecimal.
pub(super) fn decode(text: &[u8]) -> Option<MasterKey> {
    let text = text.trim_ascii();
    if text.len() == 64 {
        return decode_hex(text);
    }
    let decoded = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(text).ok().map(Zeroizing::new))?;
    let bytes: [u8; 32] = decoded.as_slice().try_into().ok()?;
    Some(MasterKey::new(Zeroizing::new(bytes)))
}

fn decode_hex(text: &[u8]) -> Option<MasterKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |position: usize| char::from(*pair.get(position)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(MasterKey::new(bytes))
}
