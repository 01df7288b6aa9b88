//! What can be said on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, Styles, styling::AnsiColor};
use clap::{ArgAction, Args, Parser, Subcommand};

use super::{
    ca, completions, connection, demo, explain, export, get, init, inspect, list, log, login, logout, man,
    profile, proxy, register, remove, revoke, run, vault,
};
use crate::config::Flags;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Start here:
  authsome demo                     see what it does, without an account
  authsome login openai             store a key; you are asked for it
  authsome run -- python agent.py   its requests carry the key, it never sees it
  authsome list                     what is connected, and what could be

Exit codes:
  0 done  1 failed  2 called wrongly  3 no such provider  4 not authenticated
  5 not connected  6 expired  7 vault not available  (run: the command's own)";

/// Put API credentials into an agent's HTTPS requests, so that the agent never holds them.
#[derive(Debug, Parser)]
#[command(
    name = "authsome",
    version,
    disable_version_flag = true,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = EXAMPLES,
    styles = STYLES,
    max_term_width = 80
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) globals: Globals,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Globals {
    /// Print one JSON document on standard output, errors included
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say nothing but what was asked for, and errors
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Print without colours, as with NO_COLOR set
    #[arg(long, global = true)]
    pub(super) no_color: bool,
    /// The profile whose connections are used [env: AUTHSOME_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Where everything is kept [env: AUTHSOME_HOME] [default: ~/.authsome]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) home: Option<PathBuf>,
    /// Tell on standard error what is being done
    #[arg(long, global = true)]
    pub(super) verbose: bool,
    /// Where the log goes; an empty path is none [default: <home>/logs/authsome.log]
    #[arg(long, global = true, value_name = "PATH", value_parser = OsStringValueParser::new())]
    pub(super) log_file: Option<OsString>,
    /// Print the version
    #[arg(long, short = 'v', global = true, action = ArgAction::Version)]
    version: Option<bool>,
}

/// The verbs, in the order in which a person meets them.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the home, if it is missing
    Init(init::InitArgs),
    /// Store a credential for a provider
    Login(login::LoginArgs),
    /// Run a command whose requests carry your credentials
    Run(run::RunArgs),
    /// Show all providers and how they are connected
    List(list::ListArgs),
    /// Show a connection, its secrets hidden
    Get(get::GetArgs),
    /// Print credentials for another program
    Export(export::ExportArgs),
    /// Show a provider's definition as JSON
    Inspect(inspect::InspectArgs),
    /// Show what would happen to a request, and why
    Explain(explain::ExplainArgs),
    /// Remove a connection from this machine
    Logout(logout::LogoutArgs),
    /// Give up a provider's connections
    Revoke(revoke::RevokeArgs),
    /// Add a provider of your own
    Register(register::RegisterArgs),
    /// Remove a provider of your own, or reset a bundled one
    Remove(remove::RemoveArgs),
    /// List the connections, or choose a provider's default
    #[command(subcommand)]
    Connection(connection::ConnectionCommand),
    /// List, create or choose profiles
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    /// Show what happened lately
    Log(log::LogArgs),
    /// Show the home, the profile and what is connected
    Whoami,
    /// Check that everything works, and say how to mend what does not
    Doctor,
    /// Show the certificate authority of this home
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// Replace the key that opens the vault, or take over an older one
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// Serve as a proxy until told to stop
    Proxy(proxy::ProxyArgs),
    /// See the main job done, without an account and without the internet
    Demo,
    /// Play an agent in the demo
    #[command(hide = true)]
    DemoAgent(demo::ActArgs),
    /// Print a script that completes this command in your shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one for each command
    Man(man::ManArgs),
}

impl Command {
    /// The names of providers in it, which may be aliases.
    pub(super) fn providers(&mut self) -> Vec<&mut String> {
        match self {
            Self::Login(args) => vec![&mut args.provider],
            Self::Get(args) => vec![&mut args.provider],
            Self::Export(args) => args.provider.iter_mut().collect(),
            Self::Inspect(args) => args.provider.iter_mut().collect(),
            Self::Logout(args) => vec![&mut args.provider],
            Self::Revoke(args) => vec![&mut args.provider],
            Self::Remove(args) => vec![&mut args.provider],
            Self::Connection(connection::ConnectionCommand::List { provider }) => {
                provider.iter_mut().collect()
            }
            Self::Connection(connection::ConnectionCommand::Default { provider, .. }) => vec![provider],
            Self::Run(args) => args.require.iter_mut().chain(args.routing.providers()).collect(),
            Self::Proxy(args) => args.routing.providers().collect(),
            _ => Vec::new(),
        }
    }

    /// The words that name it, and what it would change or reveal inside a run; `None` when it only looks.
    pub(super) fn refused_inside_run(&self) -> Option<&'static str> {
        match self {
            Self::Login(args) => args.refused_inside_run(),
            Self::Get(args) => args.show_secret.then_some("get --show-secret"),
            Self::Export(_) => Some("export"),
            Self::Run(_) => Some("run"),
            Self::Proxy(_) => Some("proxy"),
            Self::Demo => Some("demo"),
            Self::Ca(command) => command.changes(),
            Self::Vault(command) => Some(command.changes()),
            Self::Logout(_) => Some("logout"),
            Self::Revoke(_) => Some("revoke"),
            Self::Register(_) => Some("register"),
            Self::Remove(_) => Some("remove"),
            Self::Connection(command) => command.changes(),
            Self::Profile(command) => command.changes(),
            Self::Init(args) => args.changes(),
            Self::List(_)
            | Self::Inspect(_)
            | Self::Explain(_)
            | Self::Log(_)
            | Self::Whoami
            | Self::Doctor
            | Self::DemoAgent(_)
            | Self::Completions(_)
            | Self::Man(_) => None,
        }
    }

    /// Whether the home is opened, and made, before it starts. The doctor tells what is wrong with it; the demo
    /// has its own.
    pub(super) fn opens_home(&self) -> bool {
        match self {
            Self::Doctor | Self::Demo => false,
            Self::Vault(command) => command.opens_home(),
            _ => true,
        }
    }

    /// Whether it may dial, and so cares where names are found and whom to trust.
    pub(super) fn dials(&self) -> bool {
        matches!(self, Self::Login(_) | Self::Run(_) | Self::Revoke(_) | Self::Proxy(_) | Self::Doctor)
    }

    fn add_to(&self, flags: &mut Flags) {
        match self {
            Self::Init(args) => args.add_to(flags),
            Self::Login(args) => args.dial.add_to(flags),
            Self::Revoke(args) => args.dial.add_to(flags),
            Self::Run(args) => args.add_to(flags),
            Self::Proxy(args) => args.add_to(flags),
            _ => {}
        }
    }
}

impl Arguments {
    /// What the configuration is made of, beside the environment and the file.
    pub(super) fn flags(&self) -> Flags {
        let Globals { json, quiet, no_color, verbose, profile, home, log_file, .. } = self.globals.clone();
        let log_file = log_file.map(PathBuf::from);
        let mut flags = Flags { home, profile, json, quiet, no_color, verbose, log_file, ..Flags::default() };
        self.command.add_to(&mut flags);
        flags
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
