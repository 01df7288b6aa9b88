//! `authsome completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use super::Outcome;
use super::arguments::Arguments;
use super::desk::DONE;
use super::output::Output;

const EXAMPLES: &str = "\
Examples:
  authsome completions bash > ~/.local/share/bash-completion/completions/authsome
  authsome completions zsh > ~/.zfunc/_authsome
  authsome completions fish > ~/.config/fish/completions/authsome.fish";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, output: Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "authsome", &mut script);
    if output.is_json() {
        let script = String::from_utf8_lossy(&script);
        output.document(&json!({"shell": args.shell.to_string(), "script": script}))?;
    } else {
        output.data(&script)?;
    }
    Ok(DONE)
}
