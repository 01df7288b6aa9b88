//! Why a command fails: the chain of causes, the exit code, and what to do about it.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::auth::Error;
use crate::home::files::FileError;
use crate::run::child::ChildError;
use crate::vault::{BackendError, GenerationError, VaultError};
use crate::{config, home};

/// The exit code of a command that was called wrongly.
pub(super) const USAGE: u8 = 2;
/// What is named in machine-readable output where nothing more precise fits.
const BASE: &str = "AuthsomeError";

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked cannot be done.
    App(anyhow::Error),
    /// What was to be asked or given cannot be read.
    Input(io::Error),
    /// The answer cannot be printed.
    Output(io::Error),
}

impl Failure {
    /// The name in machine-readable output.
    pub(super) fn name(&self) -> &'static str {
        self.verdict().0
    }

    /// The exit code.
    pub(super) fn exit_code(&self) -> u8 {
        self.verdict().1
    }

    /// Whether the reader of our output has gone away: no reason to complain.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Itself and its causes, each level once.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::App(error) => joined(error.chain()),
            Self::Input(error) => format!("standard input cannot be read: {error}"),
            Self::Output(error) => format!("standard output cannot be written: {error}"),
        }
    }

    /// What to do, where the message does not say it.
    pub(super) fn fix(&self) -> Option<String> {
        if let Some(fix) = self.cause::<BackendError>().and_then(disk_fix) {
            return Some(fix.to_owned());
        }
        if let Some(error) = self.cause::<Error>() {
            return fix(error);
        }
        match self.cause::<io::Error>()?.kind() {
            io::ErrorKind::AddrInUse => Some("choose another port with --listen".to_owned()),
            _ => None,
        }
    }

    /// The document that `--json` prints.
    pub(super) fn document(&self) -> Value {
        let mut document = json!({"error": self.name(), "message": self.message()});
        if let Some(fix) = self.fix() {
            document["fix"] = fix.into();
        }
        document
    }

    /// Name and exit code.
    fn verdict(&self) -> (&'static str, u8) {
        if let Some(error) = self.cause::<Error>() {
            return (error.name(), error.exit_code());
        }
        if let Some(error) = self.cause::<ChildError>() {
            return (BASE, error.exit_code());
        }
        let store = self.cause::<home::Error>().is_some()
            || self.cause::<VaultError>().is_some()
            || self.cause::<GenerationError>().is_some()
            || self.cause::<FileError>().is_some();
        if store { ("StoreUnavailableError", 7) } else { (BASE, 1) }
    }

    /// The outermost cause of a type.
    pub(super) fn cause<T: StdError + 'static>(&self) -> Option<&T> {
        let Self::App(error) = self else { return None };
        // What several requests are told is shared, and says nothing of its own.
        error.chain().find_map(|cause| match cause.downcast_ref::<SharedError>() {
            Some(shared) => anyhow::Chain::new(&**shared).find_map(|cause| cause.downcast_ref()),
            None => cause.downcast_ref(),
        })
    }
}

type SharedError = Arc<dyn StdError + Send + Sync>;

/// What helps where the disk is at fault, and nothing in the store is.
fn disk_fix(error: &BackendError) -> Option<&'static str> {
    match error {
        BackendError::Full(_) => Some("make room on the disk that holds the home"),
        BackendError::ReadOnly(_) => Some("let this user write to the home, or name another one with --home"),
        _ => None,
    }
}

/// The messages of a chain, without those that repeat the end of the one before.
fn joined<'a>(chain: impl Iterator<Item = &'a (dyn StdError + 'static)>) -> String {
    let mut message = String::new();
    for cause in chain {
        let level = cause.to_string();
        if message.is_empty() {
            message = level;
        } else if !message.ends_with(&level) {
            message = format!("{message}: {level}");
        }
    }
    message
}

fn fix(error: &Error) -> Option<String> {
    let fix = match error {
        Error::ConnectionNotFound { provider, .. } => format!("authsome connection list {provider}"),
        Error::RefreshFailed { provider, connection, .. } => {
            format!("authsome login {provider} --connection {connection} --force")
        }
        Error::InvalidProviderSchema { .. } => "see authsome inspect --schema".to_owned(),
        Error::StoreUnavailable(_) | Error::EncryptionUnavailable(_) => "see authsome doctor".to_owned(),
        Error::RefusedInsideRun(command) if command == "run" => {
            "run the command directly, it is covered".to_owned()
        }
        Error::NoPageInsideRun(command) => format!("let your human run: authsome {command}"),
        Error::RefusedInsideRun(_) => "run it outside, or let your human do so".to_owned(),
        _ => return None,
    };
    Some(fix)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::App(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::App(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        match error {
            config::Error::Home(error) => Error::from(error).into(),
            config::Error::TwoMasterKeys | config::Error::NotText(_) => {
                Error::EncryptionUnavailable(error.into()).into()
            }
            config::Error::NoHome | config::Error::HomePath(_) => {
                Error::StoreUnavailable(error.into()).into()
            }
        }
    }
}

/// A command line that makes no sense, in our own words.
pub(crate) fn usage(message: impl Into<String>) -> Failure {
    Error::Usage(message.into()).into()
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn failed(error: impl Into<anyhow::Error>) -> Failure {
        Failure::App(error.into().context("cannot do it"))
    }

    #[test]
    fn the_cause_decides_name_and_exit_code_however_deep_it_lies() {
        let missing = Error::CredentialMissing { provider: "openai".into() };
        let failure = failed(missing);
        assert_eq!((failure.name(), failure.exit_code()), ("CredentialMissingError", 5));
        let not_found = ChildError::NotFound { program: "nope".into() };
        assert_eq!(failed(not_found).exit_code(), 127);
        let refused = ChildError::NotExecutable {
            program: "nope".into(),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        assert_eq!(failed(refused).exit_code(), 126);
        assert_eq!(failed(VaultError::WrongMasterKey).exit_code(), 7);
        assert_eq!(failed(io::Error::other("x")).exit_code(), 1);
        let taken: Result<(), io::Error> = Err(io::ErrorKind::AddrInUse.into());
        let failure = Failure::App(taken.context("cannot listen").unwrap_err());
        assert_eq!(failure.fix().as_deref(), Some("choose another port with --listen"));
    }

    #[test]
    fn a_chain_is_told_once() {
        let inner = VaultError::WrongMasterKey;
        let failure = Failure::from(Error::from(inner));
        assert_eq!(
            failure.message(),
            "the vault cannot be unlocked: the master key is not the one that sealed this vault"
        );
    }
}
