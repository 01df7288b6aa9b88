//! The floor: one relay process a protocol.

use anyhow::Result;

use super::{Setup, listening, read};
use crate::lane::{Entry, Lane, Name};
use crate::process::{self, Server};
use crate::run::Floor;
use crate::tls::Protocol;
use crate::{clock, origin};

pub(super) fn start(setup: &Setup) -> Result<Lane> {
    let mut entries = Vec::new();
    let mut roots = Vec::new();
    for (protocol, name) in [(Protocol::H1, "h1"), (Protocol::H2, "h2")] {
        let ca = setup.directory.0.join(format!("relay-{name}-{}.pem", clock::monotonic_ns()));
        let mut command = process::command(&setup.program);
        command.args(["relay", "--protocol", name, "--upstream", &setup.origin.to_string()]);
        if setup.floor == Floor::PerCore {
            command.arg("--per-core");
        }
        command.arg("--upstream-ca").arg(&setup.origin_ca).arg("--ca-out").arg(&ca);
        command.args(["--intercept", origin::INTERCEPTED, "--intercept", &format!(".{}", origin::COLD)]);
        let (address, server) = listening(Server::spawn(command, &setup.directory.log("relay"))?)?;
        let ready = clock::monotonic_ns();
        roots.extend(read(&ca)?);
        entries.push((Some(protocol), Entry { address, port: 443, authorization: None, server, ready }));
    }
    // The passed host is answered by the origin itself.
    roots.extend(read(&setup.origin_ca)?);
    setup.lane(Name::Relay, entries, &roots)
}
