//! `authsome remove`

use clap::Args;
use serde_json::json;

use crate::audit::EventName;
use crate::auth::Removed;

use super::Outcome;
use super::desk::{DONE, Desk, event};

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The provider's name
    pub(super) provider: String,
}

pub(super) fn run(desk: &Desk, args: &RemoveArgs) -> Outcome {
    let provider = &args.provider;
    let removed = desk.auth()?.remove(provider)?;
    desk.record(event(EventName::Remove, provider, None))?;
    let text = match removed {
        Removed::Uninstalled => format!("the definition of {provider} and its connections are gone"),
        Removed::Reset => format!("{provider} is as it was before the first login"),
    };
    desk.output.done(&json!({"status": "removed", "provider": provider}), &text)?;
    Ok(DONE)
}
