//! What errors of the rooms below mean to a person.

use super::super::record::RecordError;
use super::Error;
use crate::home::{self, files::FileError};
use crate::vault::{BackendError, MasterKeyError, PythonHomeError, RekeyError, VaultError};

impl From<home::Error> for Error {
    fn from(error: home::Error) -> Self {
        match error {
            home::Error::ProfileNotFound(name) => Self::ProfileNotFound(name),
            home::Error::ProfileExists(name) => Self::ProfileExists(name),
            home::Error::Name { .. } => Self::Usage(error.to_string()),
            other => Self::StoreUnavailable(other.into()),
        }
    }
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::WrongMasterKey
            | VaultError::DataKeys(_)
            | VaultError::Record { .. }
            | VaultError::Sealing { .. } => Self::EncryptionUnavailable(error.into()),
            VaultError::Backend(_) | VaultError::Lock(_) | VaultError::Generation(_) => {
                Self::StoreUnavailable(error.into())
            }
        }
    }
}

impl From<RekeyError> for Error {
    fn from(error: RekeyError) -> Self {
        match error {
            RekeyError::FromEnvironment => Self::Usage(error.to_string()),
            RekeyError::Key(error) => error.into(),
            RekeyError::Store { source: VaultError::Backend(_), .. }
            | RekeyError::Home(_)
            | RekeyError::Changed => Self::StoreUnavailable(error.into()),
            RekeyError::Store { .. } => Self::EncryptionUnavailable(error.into()),
        }
    }
}

impl From<PythonHomeError> for Error {
    fn from(error: PythonHomeError) -> Self {
        match error {
            PythonHomeError::NotPython(_) => Self::Usage(error.to_string()),
            PythonHomeError::Key { .. } | PythonHomeError::WrongKey(_) => {
                Self::EncryptionUnavailable(error.into())
            }
            _ => Self::StoreUnavailable(error.into()),
        }
    }
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        Self::StoreUnavailable(error.into())
    }
}

impl From<MasterKeyError> for Error {
    fn from(error: MasterKeyError) -> Self {
        Self::EncryptionUnavailable(error.into())
    }
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        Self::StoreUnavailable(error.into())
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::StoreUnavailable(error.into())
    }
}
