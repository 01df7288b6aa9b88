//! `authsome export`

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use crate::audit::EventName;
use crate::auth::{ExportFormat, Exported};

use super::Outcome;
use super::desk::{DONE, Desk, event};
use super::failure::{Failure, usage};

const EXAMPLES: &str = "\
Examples:
  export $(authsome export openai)
  eval \"$(authsome export --format shell)\"
  authsome export > .env
  authsome export openai --prefix TEST_ --format json

What is printed is the credential itself. An agent under `authsome run` needs none.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// KEY=value
    Env,
    /// export KEY='value'
    Shell,
    /// {"KEY":"value"}
    Json,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Env => Self::Env,
            Format::Shell => Self::Shell,
            Format::Json => Self::Json,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    /// The provider's name; all that are connected when none is named
    pub(super) provider: Option<String>,
    /// The connection; the provider's default when none is named
    #[arg(long, value_name = "NAME", requires = "provider")]
    connection: Option<String>,
    /// The form; with --json always json
    #[arg(long, value_enum, default_value_t = Format::Env)]
    format: Format,
    /// What each variable's name begins with
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
}

pub(super) fn run(desk: &Desk, args: &ExportArgs) -> Outcome {
    check_prefix(&args.prefix)?;
    let exported = desk.auth()?.export(args.provider.as_deref(), args.connection.as_deref())?;
    note(desk, &exported)?;
    let variables = variables(desk, &args.prefix, &exported);
    let format = if desk.output.is_json() { ExportFormat::Json } else { args.format.into() };
    desk.output.data(format.render(&variables).expose().as_bytes())?;
    desk.output.note(&match variables.len() {
        0 => "nothing is connected, so nothing is exported".to_owned(),
        1 => "a credential was printed in the clear".to_owned(),
        count => format!("{count} variables with credentials were printed in the clear"),
    });
    Ok(DONE)
}

fn check_prefix(prefix: &str) -> Result<(), Failure> {
    let named = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if named && !prefix.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(());
    }
    Err(usage(format!("--prefix {prefix:?} cannot begin a variable's name: letters, digits and '_'")))
}

/// Notes in the audit log which connections leave, before they do.
fn note(desk: &Desk, exported: &[Exported]) -> Result<(), Failure> {
    let mut connections: Vec<(&str, &str)> =
        exported.iter().map(|one| (one.provider.as_str(), one.connection.as_str())).collect();
    connections.dedup();
    let record = |(provider, connection)| desk.record(event(EventName::Export, provider, Some(connection)));
    connections.into_iter().try_for_each(record)
}

/// Values by name. Where two providers set one name, the later wins, and it is said.
fn variables<'a>(desk: &Desk, prefix: &str, exported: &'a [Exported]) -> BTreeMap<String, &'a str> {
    let mut variables = BTreeMap::new();
    for one in exported {
        let name = format!("{prefix}{}", one.variable);
        let value = one.value.expose().as_str();
        if variables.insert(name.clone(), value).is_some_and(|other| other != value) {
            desk.output.warn(&format!("several providers set {name}: the value is that of {}", one.provider));
        }
    }
    variables
}
