//! `authsome run`

use std::ffi::OsString;

use clap::Args;
use serde_json::{Map, Value};

use crate::app::{Ran, RunOptions};
use crate::config::Flags;
use crate::home::Interception;

use super::Outcome;
use super::desk::{DONE, Desk};
use super::failure::{Failure, usage};
use super::routing::{RoutingArgs, choice};

const EXAMPLES: &str = "\
Examples:
  authsome run -- python agent.py
  authsome run npm start                              the -- may be left out
  authsome run --connection openai=work -- ./agent    another key than the default
  authsome run --require openai,github -- ./agent     do not start without these
  authsome run --unmatched deny --allow pypi.org:443 -- ./agent

The command sees placeholders where it would have keys. It ends with its own exit
code; 126 means that it cannot be executed, 127 that it is not found.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "authsome run [OPTIONS] [--] <COMMAND>...")]
pub(super) struct RunArgs {
    /// Providers that must be connected, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) require: Vec<String>,
    /// How connections reach the proxy [default: env]
    #[arg(long, value_name = "MODE", value_parser = choice::<Interception>(&["env", "seccomp", "isolate"]))]
    intercept: Option<Interception>,
    /// Short for --intercept isolate
    #[arg(long, conflicts_with = "intercept")]
    isolate: bool,
    /// Wait for what the command leaves running, instead of ending it
    #[arg(long)]
    wait: bool,
    /// Print what would be set in the command's environment, and start nothing
    #[arg(long)]
    print_env: bool,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required_unless_present = "print_env", trailing_var_arg = true)]
    command: Vec<OsString>,
    #[command(flatten)]
    pub(super) routing: RoutingArgs,
}

impl RunArgs {
    pub(super) fn add_to(&self, flags: &mut Flags) {
        flags.intercept = if self.isolate { Some(Interception::Isolate) } else { self.intercept };
        self.routing.add_to(flags);
    }
}

pub(super) fn run(desk: &Desk, args: &RunArgs) -> Outcome {
    available(desk.config().intercept)?;
    let options = RunOptions {
        routing: args.routing.options(),
        require: args.require.clone(),
        wait: args.wait,
        print_env: args.print_env,
    };
    match desk.app.run(&options, &args.command, &|text| desk.output.note(text))? {
        Ran::Exit(code) => Ok(code.into()),
        Ran::Environment(variables) => print(desk, variables),
    }
}

/// There is no falling back by itself: who asks for walls gets walls, or nothing.
fn available(mode: Interception) -> Result<(), Failure> {
    let name = match mode {
        Interception::Env => return Ok(()),
        Interception::Seccomp => "seccomp",
        Interception::Isolate => "isolate",
    };
    Err(usage(format!("--intercept {name} is not available in this version")))
}

/// What the command would find that we have not found ourselves.
fn print(desk: &Desk, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Outcome {
    let own = desk.config().environment.all();
    let changed = variables.into_iter().filter(|variable| !own.contains(variable));
    let mut changed: Vec<(String, String)> = changed
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    changed.sort();
    let document: Map<String, Value> =
        changed.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let text = || changed.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    desk.output.answer(&document, text)?;
    Ok(DONE)
}
