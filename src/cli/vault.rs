//! `authsome vault`

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::Imported;
use crate::audit::{Event, EventName};
use crate::auth::{self, Left};
use crate::home::EncryptionMode;
use crate::vault::{self, MasterKeySource, Passphrase};

use super::Outcome;
use super::desk::{DONE, Desk};
use super::failure::{Failure, usage};
use super::init::Mode;

#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// Replace the key that opens the vault, or keep it in another place
    Rekey(RekeyArgs),
    /// Take over a home of the Python edition
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(super) struct RekeyArgs {
    /// Where the new key is kept [default: where the old one is]
    #[arg(long, value_name = "MODE")]
    to: Option<Mode>,
    /// The file with the new passphrase; without it you are asked
    #[arg(long, value_name = "PATH")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The home of the Python edition, 0.2.x; it is not changed
    #[arg(value_name = "PYTHON_HOME")]
    path: PathBuf,
    /// Replace connections, clients and definitions of the same names
    #[arg(long)]
    force: bool,
}

impl VaultCommand {
    /// What it is called: all of them change something.
    pub(super) fn changes(&self) -> &'static str {
        match self {
            Self::Rekey(_) => "vault rekey",
            Self::Import(_) => "vault import",
        }
    }

    /// Whether the home is there, or can be made, before it starts.
    pub(super) fn opens_home(&self) -> bool {
        matches!(self, Self::Rekey(_))
    }
}

pub(super) fn run(desk: &Desk, command: &VaultCommand) -> Outcome {
    match command {
        VaultCommand::Rekey(args) => rekey(desk, args),
        VaultCommand::Import(args) => import(desk, args),
    }
}

fn import(desk: &Desk, args: &ImportArgs) -> Outcome {
    let imported = desk.app.import(&args.path, args.force)?;
    for (profile, left) in &imported.left {
        let place = profile.as_ref().map(|profile| format!(" of profile {profile}")).unwrap_or_default();
        desk.output.warn(&format!("{} {}{place} was left: {}", left.kind, left.name, left.reason));
    }
    let taken: usize = imported.profiles.iter().map(|(_, taken)| taken.connections.len()).sum();
    let home = desk.config().home.display();
    let kept = imported.kept.as_ref().map(|kept| format!("; the old home is {}", kept.display()));
    let text = format!("{taken} connections are in {home} now{}", kept.unwrap_or_default());
    desk.output.done(&document(desk, &imported), &text)?;
    Ok(DONE)
}

fn document(desk: &Desk, imported: &Imported) -> Value {
    let each = imported.profiles.iter();
    let connections = each.clone().flat_map(|(profile, taken)| {
        let named = |(provider, connection): &(String, String)| {
            json!({"profile": profile, "provider": provider, "connection": connection})
        };
        taken.connections.iter().map(named).collect::<Vec<_>>()
    });
    let clients = each.clone().flat_map(|(profile, taken)| {
        taken.clients.iter().map(move |provider| json!({"profile": profile, "provider": provider}))
    });
    let left = imported.left.iter().map(|(profile, Left { kind, name, reason })| {
        json!({"kind": kind, "profile": profile, "name": name, "reason": reason})
    });
    json!({
        "status": "imported",
        "home": desk.config().home.display().to_string(),
        "kept": imported.kept.as_ref().map(|path| path.display().to_string()),
        "profiles": each.map(|(profile, _)| profile).collect::<Vec<_>>(),
        "definitions": imported.definitions,
        "connections": connections.collect::<Vec<_>>(),
        "clients": clients.collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
    })
}

fn rekey(desk: &Desk, args: &RekeyArgs) -> Outcome {
    let home = desk.home()?;
    let before = home.settings().map_err(auth::Error::from)?.encryption.mode;
    let mode = args.to.map_or(before, Into::into);
    let passphrase = new_passphrase(desk, args, mode)?;
    let done =
        vault::rekey(&home, &desk.config().master_key, mode, &passphrase).map_err(auth::Error::from)?;
    let reason = format!("rekey: {} to {}", before.as_str(), mode.as_str());
    desk.record(Event { outcome: Some("ok"), reason: Some(&reason), ..Event::new(EventName::Vault) })?;
    let document = json!({
        "status": "rekeyed",
        "encryption": mode.as_str(),
        "profiles": done.profiles,
        "records": done.records,
    });
    let text = format!("{} records are sealed with a new key ({})", done.records, mode.as_str());
    desk.output.done(&document, &text)?;
    Ok(DONE)
}

/// The passphrase to be: never the file with the present one, unless it is the first.
fn new_passphrase(desk: &Desk, args: &RekeyArgs, mode: EncryptionMode) -> Result<Passphrase, Failure> {
    let config = desk.config();
    let wanted = mode == EncryptionMode::Passphrase;
    match (&args.passphrase_file, &config.master_key) {
        (Some(_), _) if !wanted => Err(usage("--passphrase-file is for the mode passphrase")),
        (Some(path), _) => Ok(config.passphrase.another(Some(path.clone()))),
        (None, MasterKeySource::Passphrase(_)) if wanted => {
            if !io::stdin().is_terminal() {
                return Err(usage("give the new passphrase by --passphrase-file, or call it at a terminal"));
            }
            Ok(config.passphrase.another(None))
        }
        (None, _) => Ok(config.passphrase.clone()),
    }
}
