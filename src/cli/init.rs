//! `authsome init`

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::auth;
use crate::config::Flags;
use crate::home::EncryptionMode;
use crate::vault::{self, MasterKeySource};

use super::Outcome;
use super::desk::{DONE, Desk};
use super::failure::{Failure, usage};

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where the key that opens the vault is kept [default: local_key]
    #[arg(long, value_name = "MODE")]
    encryption: Option<Mode>,
}

/// Where the master key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Mode {
    /// In the file master.key
    LocalKey,
    /// In the keyring of this session
    Keyring,
    /// Nowhere: made from a passphrase
    Passphrase,
}

impl From<Mode> for EncryptionMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::LocalKey => Self::LocalKey,
            Mode::Keyring => Self::Keyring,
            Mode::Passphrase => Self::Passphrase,
        }
    }
}

impl InitArgs {
    /// What it is called, when it changes more than to make the home.
    pub(super) fn changes(&self) -> Option<&'static str> {
        self.encryption.is_some().then_some("init --encryption")
    }

    pub(super) fn add_to(&self, flags: &mut Flags) {
        flags.encryption = self.encryption.map(Into::into);
    }
}

pub(super) fn run(desk: &Desk, args: &InitArgs) -> Outcome {
    if let Some(mode) = args.encryption {
        choose(desk, mode.into())?;
    }
    desk.auth()?.vault()?;
    let home = desk.config().home.display().to_string();
    desk.output.done(&json!({"status": "initialized", "home": home}), &format!("{home} is ready"))?;
    Ok(DONE)
}

fn choose(desk: &Desk, mode: EncryptionMode) -> Result<(), Failure> {
    let source = &desk.config().master_key;
    if matches!(source, MasterKeySource::Environment(_) | MasterKeySource::EnvironmentFile(_)) {
        return Err(usage(
            "the environment gives the master key; unset its variable to choose with --encryption",
        ));
    }
    Ok(vault::choose(&desk.home()?, mode).map_err(auth::Error::from)?)
}
