//! Why a command fails: the chain of causes, the exit code, and what to do about it.

use std::error::Error as _;
use std::io;

use serde_json::{Value, json};

use crate::{auth, config};

/// The exit code of a command that was called wrongly.
pub(super) const USAGE: u8 = 2;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was asked cannot be done.
    #[error(transparent)]
    Authsome(#[from] auth::Error),
    /// What was to be asked or given cannot be read.
    #[error("standard input cannot be read")]
    Input(#[source] io::Error),
    /// The answer cannot be printed.
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The name in machine-readable output.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Authsome(error) => error.name(),
            Self::Input(_) | Self::Output(_) => "AuthsomeError",
        }
    }

    /// The exit code.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Authsome(error) => error.exit_code(),
            Self::Input(_) | Self::Output(_) => 1,
        }
    }

    /// Whether the reader of our output has gone away: no reason to complain.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Itself and its causes, each level once.
    pub(super) fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let level = error.to_string();
            if !message.ends_with(&level) {
                message.push_str(": ");
                message.push_str(&level);
            }
            cause = error.source();
        }
        message
    }

    /// What to do, where the message does not say it.
    pub(super) fn fix(&self) -> Option<String> {
        let Self::Authsome(error) = self else { return None };
        let fix = match error {
            auth::Error::ConnectionNotFound { provider, .. } => {
                format!("authsome connection list {provider}")
            }
            auth::Error::RefreshFailed { provider, connection, .. } => {
                format!("authsome login {provider} --connection {connection} --force")
            }
            auth::Error::InvalidProviderSchema { .. } => "authsome inspect openai --schema".to_owned(),
            auth::Error::StoreUnavailable(_) | auth::Error::EncryptionUnavailable(_) => {
                "authsome doctor".to_owned()
            }
            auth::Error::RefusedInsideRun(_) => "run the command outside of the run".to_owned(),
            _ => return None,
        };
        Some(fix)
    }

    /// The document that `--json` prints.
    pub(super) fn document(&self) -> Value {
        let mut document = json!({"error": self.name(), "message": self.message()});
        if let Some(fix) = self.fix() {
            document["fix"] = fix.into();
        }
        document
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        let error = match error {
            config::Error::Home(error) => error.into(),
            config::Error::TwoMasterKeys | config::Error::NotText(_) => {
                auth::Error::EncryptionUnavailable(error.into())
            }
            config::Error::NoHome | config::Error::HomePath(_) => auth::Error::StoreUnavailable(error.into()),
        };
        Self::Authsome(error)
    }
}

/// A command line that makes no sense, in our own words.
pub(crate) fn usage(message: impl Into<String>) -> Failure {
    auth::Error::Usage(message.into()).into()
}
