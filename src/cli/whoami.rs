//! `authsome whoami`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::auth::AuthService;
use crate::auth::record::ConnectionStatus;

use super::Outcome;
use super::desk::{DONE, Desk};
use super::failure::Failure;

pub(super) fn run(desk: &Desk) -> Outcome {
    let auth = desk.auth()?;
    let status = match auth.check_vault() {
        Ok(_) => "OK",
        Err(error) => {
            desk.output.warn(&Failure::from(error).message());
            "ERROR"
        }
    };
    let connected = connected(&auth).unwrap_or_default();
    let providers: Vec<Value> = connected
        .iter()
        .map(|(name, connections)| json!({"name": name, "count": connections.len(), "connections": connections}))
        .collect();
    let document = json!({
        "authsome_version": env!("CARGO_PKG_VERSION"),
        "home_directory": desk.config().home.display().to_string(),
        "active_profile": desk.config().profile,
        "encryption_backend": desk.config().master_key.name(),
        "vault_status": status,
        "connected_providers_count": providers.len(),
        "connected_providers": providers,
    });
    desk.output.answer(&document, || text(desk, status, &connected))?;
    Ok(DONE)
}

/// The connections that work, by provider.
fn connected(auth: &AuthService) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut connected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for connection in auth.list_connections(None)? {
        if connection.status == ConnectionStatus::Connected {
            connected.entry(connection.provider).or_default().push(connection.name);
        }
    }
    Ok(connected)
}

fn text(desk: &Desk, status: &str, connected: &BTreeMap<String, Vec<String>>) -> String {
    let mut text = format!(
        "Version    {}\nHome       {}\nProfile    {}\nKey        {}\nVault      {status}\nConnected  {}\n",
        env!("CARGO_PKG_VERSION"),
        desk.config().home.display(),
        desk.config().profile,
        desk.config().master_key.name(),
        connected.len(),
    );
    for (provider, connections) in connected {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {provider} ({})", connections.join(", "));
    }
    text
}
