//! `authsome inspect`

use clap::Args;
use serde_json::Value;

use super::Outcome;
use super::desk::{DONE, Desk};
use super::list;

const EXAMPLES: &str = "\
Examples:
  authsome inspect openai
  authsome inspect github > ~/.authsome/providers/github.json   a definition of your own to edit
  authsome inspect --schema > provider.schema.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InspectArgs {
    /// The provider's name
    #[arg(required_unless_present = "schema")]
    pub(super) provider: Option<String>,
    /// Print the JSON Schema of definitions instead
    #[arg(long)]
    schema: bool,
}

pub(super) fn run(desk: &Desk, args: &InspectArgs) -> Outcome {
    let Some(name) = args.provider.as_deref().filter(|_| !args.schema) else {
        desk.output.document(&authsome_providers::json_schema())?;
        return Ok(DONE);
    };
    let auth = desk.auth()?;
    let definition = auth.provider(name)?.definition;
    let kind = definition.auth_type().as_str();
    let connections = auth.list_connections(Some(name))?;
    let mut document = definition.to_json();
    if let Value::Object(fields) = &mut document {
        let connections = connections.iter().map(|one| list::connection(one, kind)).collect();
        fields.insert("connections".into(), Value::Array(connections));
    }
    desk.output.document(&document)?;
    Ok(DONE)
}
