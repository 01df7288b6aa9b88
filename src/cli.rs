//! The command line: arguments, one call of the application, print.
//!
//! [`run`] is all that the program does. Each verb has its file; [`output`] is the only printer.

mod arguments;
mod ca;
mod completions;
mod connection;
mod demo;
mod desk;
mod destination;
mod dial;
mod doctor;
mod explain;
mod export;
mod failure;
mod get;
mod init;
mod inspect;
mod interrupt;
mod list;
mod log;
mod logging;
mod login;
mod logout;
mod man;
mod output;
mod profile;
mod proxy;
mod register;
mod remove;
mod revoke;
mod routing;
mod run;
mod table;
mod terminal;
mod time;
mod vault;
mod whoami;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::json;

use crate::app;
use crate::config::{self, ProcessEnvironment};
use arguments::{Arguments, Command};
use desk::Desk;
use failure::Failure;
use output::Output;

/// How a command ends that did what it was asked: with 0, most often.
type Outcome = Result<ExitCode, Failure>;

/// The command line as data, for pages that are made from it.
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the command that the arguments name, the program's own name first. Whatever goes wrong has been said
/// when it returns.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let (output, outcome) = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => {
            let globals = &parsed.globals;
            let output = Output::new(globals.json, globals.quiet, globals.no_color);
            (output, execute(parsed, output))
        }
        Err(error) => {
            let output = Output::new(wants_json(&arguments), false, false);
            (output, answer_parser(&error, output))
        }
    };
    outcome.unwrap_or_else(|failure| {
        if failure.is_broken_pipe() {
            return ExitCode::SUCCESS;
        }
        output.failure(&failure);
        failure.exit_code().into()
    })
}

fn execute(parsed: Arguments, output: Output) -> Outcome {
    match &parsed.command {
        Command::Completions(args) => return completions::run(args, output),
        Command::Man(args) => return man::run(args, output),
        Command::DemoAgent(args) => return demo::act(args, output),
        _ => {}
    }
    let config = config::load(parsed.flags(), &ProcessEnvironment)?;
    let log = logging::start(&config);
    app::harden();
    let desk = Desk::new(config, output);
    if parsed.command.opens_home() {
        desk.open(&log)?;
    }
    if parsed.command.dials() {
        desk.name_trust_from_file();
    }
    desk.refuse_inside_run(parsed.command.refused_inside_run())?;
    let mut command = parsed.command;
    desk.resolve(command.providers())?;
    dispatch(&desk, command)
}

fn dispatch(desk: &Desk, command: Command) -> Outcome {
    match command {
        Command::Init(args) => init::run(desk, &args),
        Command::Login(args) => login::run(desk, &args),
        Command::Run(args) => run::run(desk, &args),
        Command::List(args) => list::run(desk, &args),
        Command::Get(args) => get::run(desk, &args),
        Command::Export(args) => export::run(desk, &args),
        Command::Inspect(args) => inspect::run(desk, &args),
        Command::Explain(args) => explain::run(desk, &args),
        Command::Logout(args) => logout::run(desk, &args),
        Command::Revoke(args) => revoke::run(desk, &args),
        Command::Register(args) => register::run(desk, &args),
        Command::Remove(args) => remove::run(desk, &args),
        Command::Connection(command) => connection::run(desk, &command),
        Command::Profile(command) => profile::run(desk, &command),
        Command::Log(args) => log::run(desk, &args),
        Command::Whoami => whoami::run(desk),
        Command::Doctor => doctor::run(desk),
        Command::Ca(command) => ca::run(desk, &command),
        Command::Vault(command) => vault::run(desk, &command),
        Command::Proxy(args) => proxy::run(desk, &args),
        Command::Demo => demo::run(desk),
        Command::DemoAgent(args) => demo::act(&args, desk.output),
        Command::Completions(args) => completions::run(&args, desk.output),
        Command::Man(args) => man::run(&args, desk.output),
    }
}

/// Help and version are answers; anything else that the parser says is a failure.
fn answer_parser(error: &clap::Error, output: Output) -> Outcome {
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayVersion if output.is_json() => {
            output.document(&json!({"authsome_version": env!("CARGO_PKG_VERSION")}))?;
        }
        ErrorKind::DisplayHelp if output.is_json() => {
            output.document(&json!({"help": text.to_string()}))?;
        }
        ErrorKind::DisplayVersion | ErrorKind::DisplayHelp => {
            output.parser_text(&text.ansi().to_string(), true)?
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
            if output.is_json() =>
        {
            return Err(failure::usage("a command is missing; see authsome --help"));
        }
        _ if output.is_json() => return Err(failure::usage(first_paragraph(&text.to_string()))),
        _ => {
            output.parser_text(&text.ansi().to_string(), false)?;
            return Ok(failure::USAGE.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is wrong, without the usage that follows it.
fn first_paragraph(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether `--json` stands among our own arguments, where these could not be parsed.
fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|argument| *argument != "--").any(|argument| argument == "--json")
}
