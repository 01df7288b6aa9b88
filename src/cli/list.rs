//! `authsome list`

use authsome_providers::{Provider, Source};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::auth::{AuthService, ListedConnection, ListedProvider, ProviderStanding};
use crate::clock;

use super::Outcome;
use super::desk::{DONE, Desk};
use super::{table, time};

const EXAMPLES: &str = "\
Examples:
  authsome list                         all providers
  authsome list --connected             only those with connections
  authsome list --json | jq '.custom'   for programs";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListArgs {
    /// Leave out the providers without connections
    #[arg(long)]
    connected: bool,
}

pub(super) fn run(desk: &Desk, args: &ListArgs) -> Outcome {
    let auth = desk.auth()?;
    let mut listed = auth.list_providers()?;
    let total = listed.len();
    if args.connected {
        listed.retain(|listed| !listed.connections.is_empty());
    }
    let of = |source| -> Vec<Value> {
        listed.iter().filter(|listed| listed.provider.source == source).map(document).collect()
    };
    let all = json!({"bundled": of(Source::Bundled), "custom": of(Source::Custom)});
    desk.output.answer(&all, || text(&listed, total, desk.now()))?;
    for (name, told) in suspicions(&auth) {
        desk.output.warn(&format!("providers/{name}.json: {told}"));
    }
    for broken in &auth.definitions().broken {
        desk.output.warn(&format!("providers/{} is left out: {}", broken.file, broken.error));
    }
    Ok(DONE)
}

/// What should be told about the custom definitions.
pub(super) fn suspicions(auth: &AuthService) -> Vec<(String, String)> {
    let definitions = auth.definitions();
    let registry = &definitions.registry;
    let custom = registry.iter().filter(|provider| provider.source == Source::Custom);
    let told = custom.flat_map(|provider| {
        let name = provider.definition.name();
        registry.suspicions(&provider.definition).into_iter().map(move |told| (name.to_owned(), told))
    });
    told.collect()
}

fn document(listed: &ListedProvider) -> Value {
    let definition = &listed.provider.definition;
    let fallback = definition.auth_type().as_str();
    json!({
        "name": definition.name(),
        "display_name": definition.display_name(),
        "auth_type": fallback,
        "source": listed.provider.source,
        "state": listed.standing.as_str(),
        "connections": listed.connections.iter().map(|one| connection(one, fallback)).collect::<Vec<_>>(),
    })
}

/// A connection as `list`, `inspect` and `connection list` show it. Where its record does not open, the definition's
/// kind is shown.
pub(super) fn connection(connection: &ListedConnection, fallback: &str) -> Value {
    let mut document = Map::new();
    document.insert("connection_name".into(), connection.name.clone().into());
    document.insert("auth_type".into(), connection.auth_type.map_or(fallback, |kind| kind.as_str()).into());
    document.insert("status".into(), connection.status.as_str().into());
    if let Some(scopes) = &connection.scopes {
        document.insert("scopes".into(), scopes.clone().into());
    }
    if let Some(expires_at) = connection.expires_at {
        document.insert("expires_at".into(), clock::rfc3339(expires_at).into());
    }
    document.insert("is_default".into(), connection.is_default.into());
    document.into()
}

fn text(listed: &[ListedProvider], total: usize, now: i64) -> String {
    let connected = listed.iter().filter(|one| one.standing == ProviderStanding::Connected).count();
    let header = ["Provider", "Source", "Auth", "Connection", "Status", "Expires"];
    let rows = table::render(header, listed.iter().flat_map(|one| rows(one, now)));
    format!("Providers: {total} total, {connected} connected\n\n{rows}")
}

/// A row for each connection, or one that says there is none.
fn rows(listed: &ListedProvider, now: i64) -> Vec<[String; 6]> {
    let definition = &listed.provider.definition;
    let name = format!("{} [{}]", definition.display_name(), definition.name());
    let auth = definition.auth_type().as_str();
    let row = |auth: &str, connection: String, status: &str, expires: String| {
        [name.clone(), source(&listed.provider), auth.to_owned(), connection, status.to_owned(), expires]
    };
    if listed.connections.is_empty() {
        return vec![row(auth, "-".into(), listed.standing.as_str(), "-".into())];
    }
    let connections = listed.connections.iter().map(|one| {
        let kind = one.auth_type.map_or(auth, |kind| kind.as_str());
        let expires = one.expires_at.map_or_else(|| "-".into(), |end| time::expiry(end, now));
        row(kind, label(one, listed.connections.len()), one.status.as_str(), expires)
    });
    connections.collect()
}

/// The name, with a star when it is the default among several.
pub(super) fn label(connection: &ListedConnection, among: usize) -> String {
    let star = if connection.is_default && among > 1 { " *" } else { "" };
    format!("{}{star}", connection.name)
}

fn source(provider: &Provider) -> String {
    match provider.source {
        Source::Bundled => "bundled".into(),
        Source::Custom if provider.overrides_bundled => "custom (overrides)".into(),
        Source::Custom => "custom".into(),
    }
}
