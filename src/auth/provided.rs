//! Keys that the environment provides: connections without a login, for containers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::secret::Secret;

/// The name of a connection that the environment provides.
pub const CONNECTION: &str = "environment";

const LIMIT: u64 = 64 << 10;

/// Where a provided key is.
#[derive(Debug, Clone)]
pub enum ProvidedKey {
    /// The value of `AUTHSOME_<PROVIDER>_API_KEY`.
    Value(Secret<String>),
    /// The file that `AUTHSOME_<PROVIDER>_API_KEY_FILE` names; read at each use, so that a rotated secret counts.
    File(PathBuf),
}

impl ProvidedKey {
    /// The key, without the line end that editors add.
    ///
    /// # Errors
    /// When the file cannot be read, is too large or no UTF-8.
    pub fn read(&self) -> io::Result<Secret<String>> {
        let path = match self {
            Self::Value(value) => return Ok(value.clone()),
            Self::File(path) => path,
        };
        let mut content = Zeroizing::new(Vec::with_capacity(4096));
        File::open(path)?.take(LIMIT + 1).read_to_end(&mut content)?;
        let text = std::str::from_utf8(&content).ok().filter(|text| text.len() as u64 <= LIMIT);
        text.map(|text| Secret::from(without_line_end(text))).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// All provided keys, by provider.
#[derive(Debug, Clone, Default)]
pub struct ProvidedKeys {
    by_name: BTreeMap<String, ProvidedKey>,
}

impl ProvidedKeys {
    /// Notes the key of `AUTHSOME_<name>_API_KEY`; a value wins over a file.
    pub fn insert(&mut self, name: &str, key: ProvidedKey) {
        let known = self.by_name.get(name);
        if !matches!((known, &key), (Some(ProvidedKey::Value(_)), ProvidedKey::File(_))) {
            self.by_name.insert(name.to_owned(), key);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The key of a provider. In the variable's name, `-` is written `_`.
    pub fn of(&self, provider: &str) -> Option<&ProvidedKey> {
        self.by_name.get(&provider.to_ascii_uppercase().replace('-', "_"))
    }
}

/// A text without one line end behind it, as files and pipes have it.
pub fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
