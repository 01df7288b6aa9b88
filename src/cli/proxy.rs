//! `authsome proxy`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::app::{Listening, ServiceOptions};
use crate::config::Flags;

use super::Outcome;
use super::desk::{DONE, Desk};
use super::failure::Failure;
use super::output::Output;
use super::routing::RoutingArgs;

const EXAMPLES: &str = "\
Examples:
  authsome proxy
  authsome proxy --listen 127.0.0.1:0 --json    any free port; the answer names it
  authsome ca export ca.pem                     what the clients have to trust

Clients use http://run:TOKEN@ADDRESS as their proxy. SIGTERM ends it after what is under way.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ProxyArgs {
    /// Where to accept connections; port 0 is any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The file of the token that clients send [default: <home>/proxy.token]
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) routing: RoutingArgs,
}

impl ProxyArgs {
    pub(super) fn add_to(&self, flags: &mut Flags) {
        self.routing.add_to(flags);
    }
}

pub(super) fn run(desk: &Desk, args: &ProxyArgs) -> Outcome {
    let options = ServiceOptions {
        routing: args.routing.options(),
        listen: args.listen,
        token_file: args.token_file.clone(),
    };
    let mut announced = false;
    let outcome = desk.app.proxy(&options, |listening| {
        announced = true;
        Ok(announce(desk.output, listening)?)
    });
    match outcome.map_err(Failure::from) {
        Ok(()) => Ok(DONE),
        // The one document was the announcement.
        Err(failure) if announced && desk.output.is_json() => {
            desk.output.warn(&failure.message());
            Ok(failure.exit_code().into())
        }
        Err(failure) => Err(failure),
    }
}

/// Says where clients find the proxy, in one line: whoever started it reads on.
fn announce(output: Output, listening: &Listening) -> std::io::Result<()> {
    let token_file = listening.token_file.display().to_string();
    if output.is_json() {
        let address = listening.address.to_string();
        let line = json!({"status": "listening", "address": address, "token_file": token_file});
        return output.data(format!("{line}\n").as_bytes());
    }
    output.data(format!("listening on {}; the token is in {token_file}\n", listening.address).as_bytes())
}
