//! `authsome connection`

use clap::Subcommand;
use serde_json::{Value, json};

use crate::auth::ListedConnection;

use super::Outcome;
use super::desk::{DONE, Desk};
use super::{list, table, time};

#[derive(Debug, Subcommand)]
pub(super) enum ConnectionCommand {
    /// List the connections of a provider, or all
    List {
        /// The provider's name
        provider: Option<String>,
    },
    /// Choose the connection that is used when none is named
    Default {
        /// The provider's name
        provider: String,
        /// The connection's name
        name: String,
    },
}

impl ConnectionCommand {
    /// What it is called, when it changes something.
    pub(super) fn changes(&self) -> Option<&'static str> {
        match self {
            Self::List { .. } => None,
            Self::Default { .. } => Some("connection default"),
        }
    }
}

pub(super) fn run(desk: &Desk, command: &ConnectionCommand) -> Outcome {
    let auth = desk.auth()?;
    match command {
        ConnectionCommand::List { provider } => {
            let listed = auth.list_connections(provider.as_deref())?;
            let documents: Vec<Value> = listed.iter().map(document).collect();
            desk.output.answer(&documents, || text(&listed, desk.now()))?;
        }
        ConnectionCommand::Default { provider, name } => {
            auth.set_default_connection(provider, name)?;
            let document = json!({"status": "default_set", "provider": provider, "connection": name});
            desk.output.done(&document, &format!("{provider} now uses {name}"))?;
        }
    }
    Ok(DONE)
}

fn document(connection: &ListedConnection) -> Value {
    let mut document = list::connection(connection, "unknown");
    document["provider"] = connection.provider.clone().into();
    document
}

fn text(listed: &[ListedConnection], now: i64) -> String {
    if listed.is_empty() {
        return "Nothing is connected. Try: authsome login openai\n".into();
    }
    let rows = listed.iter().map(|one| {
        let default = if one.is_default { "yes" } else { "" };
        let expires = one.expires_at.map_or_else(|| "-".into(), |end| time::expiry(end, now));
        [one.provider.clone(), one.name.clone(), one.status.to_string(), expires, default.into()]
    });
    table::render(["Provider", "Connection", "Status", "Expires", "Default"], rows)
}
