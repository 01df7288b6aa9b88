//! `authsome revoke`

use clap::Args;
use serde_json::json;

use crate::audit::EventName;

use super::Outcome;
use super::desk::{DONE, Desk, event};
use super::dial::DialArgs;

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// The provider's name
    pub(super) provider: String,
    /// Give up this connection only, and keep the OAuth client
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    #[command(flatten)]
    pub(super) dial: DialArgs,
}

pub(super) fn run(desk: &Desk, args: &RevokeArgs) -> Outcome {
    let (provider, connection) = (&args.provider, args.connection.as_deref());
    let auth = desk.auth()?;
    let revoked = auth.revoke(provider, connection)?;
    for (name, reason) in &revoked.only_here {
        desk.output.warn(&format!(
            "the tokens of {name} are removed here and not revoked at the provider: {reason}"
        ));
    }
    desk.record(event(EventName::Revoke, provider, connection))?;
    desk.output
        .done(&json!({"status": "revoked", "provider": provider}), &format!("{provider} is given up"))?;
    let is_over = !revoked.at_provider.is_empty() && revoked.only_here.is_empty();
    if let Some(docs) =
        auth.provider(provider).ok().and_then(|known| known.definition.docs().map(str::to_owned))
        && !is_over
    {
        desk.output.note(&format!("a key itself is revoked at the vendor: {docs}"));
    }
    Ok(DONE)
}
