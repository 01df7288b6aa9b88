//! `authsome man`

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_mangen::Man;
use serde_json::json;

use super::Outcome;
use super::arguments::Arguments;
use super::desk::DONE;
use super::failure::Failure;
use super::output::Output;

const EXAMPLES: &str = "\
Examples:
  authsome man | man -l -
  authsome man ~/.local/share/man/man1";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder
    folder: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs, output: Output) -> Outcome {
    let command = Arguments::command().disable_help_subcommand(true);
    let Some(folder) = &args.folder else {
        let page = rendered(command)?;
        let shown = json!({"page": String::from_utf8_lossy(&page)});
        if output.is_json() {
            output.document(&shown)?
        } else {
            output.data(&page)?
        }
        return Ok(DONE);
    };
    let mut pages = Vec::new();
    write(command, folder, &mut pages)?;
    output
        .done(&json!({"status": "written", "pages": pages}), &format!("{} pages are written", pages.len()))?;
    Ok(DONE)
}

fn rendered(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(Failure::Output)?;
    Ok(page)
}

/// Writes the page of a command and of all below it that are shown.
fn write(command: clap::Command, folder: &Path, pages: &mut Vec<String>) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        let full = format!("{name}-{}", inner.get_name());
        write(inner.clone().display_name(full), folder, pages)?;
    }
    let file = format!("{name}.1");
    std::fs::write(folder.join(&file), rendered(command)?)
        .with_context(|| format!("cannot write {}", folder.join(&file).display()))?;
    pages.push(file);
    Ok(())
}
