//! `authsome logout`

use clap::Args;
use serde_json::json;

use crate::audit::EventName;

use super::Outcome;
use super::desk::{DONE, Desk, event};

#[derive(Debug, Args)]
pub(super) struct LogoutArgs {
    /// The provider's name
    pub(super) provider: String,
    /// The connection; the provider's default when none is named
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
}

pub(super) fn run(desk: &Desk, args: &LogoutArgs) -> Outcome {
    let provider = &args.provider;
    let connection = desk.auth()?.logout(provider, args.connection.as_deref())?;
    desk.record(event(EventName::Logout, provider, Some(&connection)))?;
    let document = json!({"status": "logged_out", "provider": provider, "connection": connection});
    let text =
        format!("{provider} ({connection}) is removed from this machine; the vendor still accepts the key");
    desk.output.done(&document, &text)?;
    Ok(DONE)
}
