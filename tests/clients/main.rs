//! Real clients, started by `authsome run`, against a server on loopback that stands for their APIs.
//!
//! `scripts/install-test-clients` installs them; nothing here uses the network. A client that is not installed is an
//! ignored test; with the argument `missing` this program says which, why, and how many. With `matrix` it says which
//! flow is tested against which authorization server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests stand outside: they read the environment")]
#![expect(clippy::print_stdout, reason = "the list of what is missing")]
#![expect(dead_code, reason = "the shared support serves other tests too")]

mod api;
mod canary;
mod catalogue;
mod consent;
mod flows;
mod git;
mod issuers;
mod keyring;
mod leaks;
mod opener;
mod page;
mod sdk;
mod stage;
mod support;
mod tools;
mod watch;
mod websocket;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use tools::Need;

/// A test, and why it cannot be run here.
struct Planned {
    name: String,
    missing: Option<String>,
    run: Box<dyn FnOnce() + Send>,
}

fn main() -> ExitCode {
    let planned = planned();
    if std::env::args().any(|argument| argument == "matrix") {
        flows::print_matrix();
        return ExitCode::SUCCESS;
    }
    if std::env::args().any(|argument| argument == "missing") {
        print_missing(&planned);
        return ExitCode::SUCCESS;
    }
    let trials = planned.into_iter().map(|one| {
        let run = one.run;
        Trial::test(one.name, move || {
            run();
            Ok(())
        })
        .with_ignored_flag(one.missing.is_some())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn planned() -> Vec<Planned> {
    let clients = catalogue::CLIENTS.into_iter().map(|client| Planned {
        name: format!("client::{}", client.name),
        missing: client.missing(),
        run: Box::new(move || client.check()),
    });
    let canaries = canary::tests().into_iter().map(|(name, run)| Planned {
        name: format!("canary::{name}"),
        missing: Need::Program("curl").missing(),
        run,
    });
    let sdks = sdk::ROWS.into_iter().map(|row| Planned {
        name: format!("sdk::{}", row.provider),
        missing: row.missing(),
        run: Box::new(move || row.check()),
    });
    let visits = page::VISITS.into_iter().map(|visit| Planned {
        name: format!("page::{}", visit.name),
        missing: visit.missing(),
        run: Box::new(move || visit.check()),
    });
    let consent = Planned {
        name: "page::consent-inside-a-run".to_owned(),
        missing: opener::missing(),
        run: Box::new(consent::check),
    };
    let visits = visits.chain([consent]);
    let flows = flows::cells().map(|cell| Planned {
        name: cell.name(),
        missing: cell.missing(),
        run: Box::new(move || cell.check()),
    });
    let keyrings = keyring::tests().into_iter().map(|(name, run)| Planned {
        name: format!("keyring::{name}"),
        missing: keyring::missing(),
        run,
    });
    clients.chain(canaries).chain(sdks).chain(visits).chain(flows).chain(keyrings).collect()
}

fn print_missing(planned: &[Planned]) {
    let mut skipped = 0;
    for one in planned {
        if let Some(reason) = &one.missing {
            println!("skipped: {}: {reason}", one.name);
            skipped += 1;
        }
    }
    println!("real clients: {} to be run, {skipped} skipped", planned.len() - skipped);
}
