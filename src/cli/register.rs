//! `authsome register`

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use authsome_providers::{AuthType, ProviderDefinition};
use clap::Args;
use serde_json::json;

use crate::audit::EventName;
use crate::auth;

use super::desk::{DONE, Desk, event};
use super::failure::{Failure, usage};
use super::output::Output;
use super::terminal::{Prompt, Terminal};
use super::{Outcome, destination};

/// No definition is larger, in bytes.
const LIMIT: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  authsome register acme.json
  authsome inspect --schema     what a definition may hold

The definition says where a credential may go. Look at its hosts before you log in.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RegisterArgs {
    /// The definition's file
    path: PathBuf,
    /// Replace a definition of the same name, bundled ones too
    #[arg(long)]
    force: bool,
}

pub(super) fn run(desk: &Desk, args: &RegisterArgs) -> Outcome {
    let auth = desk.auth()?;
    let file = args.path.display().to_string();
    let text = read(&args.path)?;
    let definition = auth.parse_definition(&file, &text)?;
    for field in definition.unknown_fields() {
        desk.output.warn(&format!("`{field}` is read by nothing"));
    }
    for told in auth.definitions().registry.suspicions(&definition) {
        desk.output.warn(&told);
    }
    confirm(desk.output, &definition)?;
    auth.register_provider(&file, &text, args.force)?;
    let name = definition.name();
    desk.record(event(EventName::Register, name, None))?;
    let document = json!({"status": "registered", "provider": name});
    desk.output.done(&document, &format!("{name} is registered; connect it with: authsome login {name}"))?;
    Ok(DONE)
}

/// Shows where credentials would go, and asks whoever is there.
fn confirm(output: Output, definition: &ProviderDefinition) -> Result<(), Failure> {
    let endpoints = endpoints(definition);
    let Some(mut terminal) = Terminal::attached(None) else {
        output.say(&endpoints);
        return Ok(());
    };
    output.show(&endpoints);
    if terminal.confirm("Add this provider?")? { Ok(()) } else { Err(auth::Error::InputCancelled.into()) }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| usage(format!("{} cannot be read: {error}", path.display()));
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text))
        .map_err(failed)?;
    Ok(text)
}

/// Where the credential would go, and which servers would see it on the way to a login.
fn endpoints(definition: &ProviderDefinition) -> String {
    let values = BTreeMap::new();
    let kinds = [AuthType::OAuth2, AuthType::ApiKey].into_iter().filter(|auth| definition.offers(*auth));
    let hosts = kinds.flat_map(|auth| destination::hosts(definition, auth, &values));
    let hosts: BTreeSet<String> = hosts.collect();
    let mut lines = vec![format!("{} [{}]", definition.display_name(), definition.name())];
    lines.extend(definition.not_routed().map(|reason| format!("  not routed          {reason}")));
    lines.extend(hosts.into_iter().map(|host| format!("  credential goes to  {host}")));
    let servers = definition.auth_endpoints(&values);
    let excluded = definition.excluded(&values).into_iter();
    lines.extend(excluded.map(|place| format!("  but never to        {place}")));
    lines.extend(
        servers.into_iter().map(|at| format!("  signs in at         {}:{}{}", at.host, at.port, at.path)),
    );
    let read = definition.env_vars();
    if !read.is_empty() {
        lines.push(format!("  login reads         {}", read.join(", ")));
    }
    lines.join("\n")
}
