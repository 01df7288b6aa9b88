//! Records as JSON: the only place where a secret meets serde.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::SCHEMA_VERSION;
use crate::secret::Secret;

/// Why bytes from the vault are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No JSON of the form, for instance damaged by another program. Never holds a value of it.
    #[error("the record {key:?} is not of the expected form (line {line}, column {column})")]
    Form {
        /// The record.
        key: String,
        /// Where, counted from 1.
        line: usize,
        /// Where, counted from 1.
        column: usize,
    },
    /// Written by a newer program.
    #[error("the record {key:?} has schema version {found}, this program knows {SCHEMA_VERSION}")]
    TooNew {
        /// The record.
        key: String,
        /// Its version.
        found: u64,
    },
}

/// Reads a record from the vault's bytes.
///
/// # Errors
/// When it is not of the form, or a newer program wrote it.
pub fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, RecordError> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u64,
    }
    // The message of serde_json may quote a value, so only the place is kept.
    let form = |error: serde_json::Error| RecordError::Form {
        key: key.to_owned(),
        line: error.line(),
        column: error.column(),
    };
    let Version { schema_version: found } = serde_json::from_slice(bytes).map_err(form)?;
    if found > u64::from(SCHEMA_VERSION) {
        return Err(RecordError::TooNew { key: key.to_owned(), found });
    }
    serde_json::from_slice(bytes).map_err(form)
}

/// Writes a record for the vault, into a buffer that never grows: growth would leave copies behind.
pub fn encode<T: Serialize>(record: &T) -> Secret<Vec<u8>> {
    let mut size = Count(0);
    // Neither the records nor their writers can fail.
    serde_json::to_writer(&mut size, record).unwrap_or_default();
    let mut bytes = Vec::with_capacity(size.0);
    serde_json::to_writer(&mut bytes, record).unwrap_or_default();
    Secret::new(bytes)
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn exposed(value: &Option<Secret<String>>) -> Option<&str> {
    value.as_ref().map(|value| value.expose().as_str())
}

pub(super) mod secret_text {
    use super::{Deserialize, Secret};
    use serde::{Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Secret<String>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.expose())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Secret<String>, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

pub(super) mod optional_secret {
    use super::{Deserialize, Secret, Serialize};
    use serde::{Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<Secret<String>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        super::exposed(value).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}

pub(super) mod timestamp {
    use super::{Deserialize, Serialize};
    use crate::clock;
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(value: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        value.map(clock::rfc3339).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        clock::parse_rfc3339(&text).map(Some).ok_or_else(|| D::Error::custom("no time of RFC 3339"))
    }
}
