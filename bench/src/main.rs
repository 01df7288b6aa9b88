//! Load generator for `authsome`: what interception costs, beside a direct connection, a bare TLS relay and other proxies.
//!
//! `run` orchestrates; `origin` and `relay` are the processes it measures against, `stamp` the child that `authsome run` starts.
#![expect(
    clippy::disallowed_methods,
    reason = "a load generator opens sockets of its own and starts clean processes"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is the product, progress goes to stderr"
)]

mod authority;
mod body;
mod client;
mod clock;
mod cores;
mod figures;
mod lane;
mod ledger;
mod load;
mod origin;
mod peers;
mod process;
mod relay;
mod report;
mod run;
mod targets;
mod tls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures authsome next to a direct connection, a bare TLS relay and other proxies.
#[derive(Parser)]
#[command(name = "authsome-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure and print one table
    Run(run::Options),
    /// Serve the TLS origin that every lane talks to
    Origin(origin::Options),
    /// Serve the bare relay: TLS terminated and encrypted again, no HTTP inside
    Relay(relay::Options),
    /// Print the monotonic clock in nanoseconds: the child of a measured `authsome run`
    Stamp,
}

fn main() -> ExitCode {
    let stamp = clock::monotonic_ns();
    let done = match Arguments::parse().command {
        Command::Run(options) => run::run(options),
        Command::Origin(options) => origin::serve(options).map(|()| true),
        Command::Relay(options) => relay::serve(options).map(|()| true),
        Command::Stamp => {
            println!("{stamp}");
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
