//! `authsome profile`

use clap::Subcommand;
use serde_json::{Value, json};

use crate::audit::{Event, EventName};
use crate::auth;
use crate::home::ProfileMetadata;

use super::Outcome;
use super::desk::{DONE, Desk};
use super::failure::Failure;
use super::table;

#[derive(Debug, Subcommand)]
pub(super) enum ProfileCommand {
    /// List all profiles
    List,
    /// Make a profile: connections of its own, apart from all others
    Create {
        /// A letter or digit, then up to 63 of letters, digits, '-' and '_'
        name: String,
        /// A note for yourself
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Choose the profile that is used when none is named
    Use {
        /// The profile's name
        name: String,
    },
}

impl ProfileCommand {
    /// What it is called, when it changes something.
    pub(super) fn changes(&self) -> Option<&'static str> {
        match self {
            Self::List => None,
            Self::Create { .. } => Some("profile create"),
            Self::Use { .. } => Some("profile use"),
        }
    }
}

pub(super) fn run(desk: &Desk, command: &ProfileCommand) -> Outcome {
    match command {
        ProfileCommand::List => list(desk)?,
        ProfileCommand::Create { name, description } => {
            let home = desk.home()?;
            home.create_profile(name, description.as_deref(), &**desk.app.clock())
                .map_err(auth::Error::from)?;
            note(desk, name, "created")?;
            let document = json!({"status": "created", "profile": name});
            desk.output.done(&document, &format!("profile {name} is there; use it with --profile {name}"))?;
        }
        ProfileCommand::Use { name } => {
            let home = desk.home()?;
            home.profile(name).map_err(auth::Error::from)?;
            home.change_settings(|settings| settings.default_profile.clone_from(name))
                .map_err(auth::Error::from)?;
            note(desk, name, "default")?;
            let document = json!({"status": "default_set", "profile": name});
            desk.output.done(&document, &format!("profile {name} is used from now on"))?;
        }
    }
    Ok(DONE)
}

fn note(desk: &Desk, profile: &str, outcome: &str) -> Result<(), Failure> {
    let event = Event { profile: Some(profile), outcome: Some(outcome), ..Event::new(EventName::Profile) };
    desk.record(event)
}

fn list(desk: &Desk) -> Result<(), Failure> {
    let home = desk.home()?;
    let names = home.profiles().map_err(auth::Error::from)?;
    let read = |name: &String| home.profile(name)?.metadata();
    let profiles: Vec<ProfileMetadata> =
        names.iter().map(read).collect::<Result<_, _>>().map_err(auth::Error::from)?;
    let active = &desk.config().profile;
    let documents: Vec<Value> = profiles.iter().map(|profile| document(profile, active)).collect();
    desk.output.answer(&documents, || {
        let rows = profiles.iter().map(|profile| {
            let mark = if profile.name == *active { "yes" } else { "" };
            [profile.name.clone(), mark.into(), profile.description.clone().unwrap_or_default()]
        });
        table::render(["Profile", "Active", "Description"], rows)
    })?;
    Ok(())
}

fn document(profile: &ProfileMetadata, active: &str) -> Value {
    json!({
        "name": profile.name,
        "description": profile.description,
        "created_at": profile.created_at,
        "updated_at": profile.updated_at,
        "is_active": profile.name == active,
    })
}
