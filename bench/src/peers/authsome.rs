//! `authsome proxy` in a home of its own, with one connection to the bench's origin.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{KEY, Setup, read};
use crate::lane::{Entry, Lane, Name, cold_host};
use crate::process::{self, Server, output};
use crate::{clock, origin};

/// A prepared home: definition, key and CA are there.
pub(crate) struct Home {
    binary: PathBuf,
    path: PathBuf,
    roots: Vec<u8>,
}

impl Home {
    pub(super) fn prepare(setup: &Setup, binary: &Path, label: &str) -> Result<Self> {
        let binary = binary.canonicalize().with_context(|| format!("there is no {}", binary.display()))?;
        let path = setup.directory.sub(&format!("authsome-{label}"))?;
        let mut home = Self { binary, path, roots: read(&setup.origin_ca)? };
        output(home.command().arg("init"))?;
        let providers = home.path.join("providers");
        std::fs::create_dir_all(&providers)?;
        std::fs::write(providers.join("bench.json"), definition())?;
        home.login()?;
        home.roots.extend(output(home.command().args(["ca", "export"]))?);
        Ok(home)
    }

    pub(super) fn start(&self, setup: &Setup) -> Result<Lane> {
        let mut command = self.command();
        command
            .args(["--json", "proxy", "--listen", "127.0.0.1:0"])
            .arg("--upstream-ca")
            .arg(&setup.origin_ca);
        let cold = (0..setup.cold_hosts).map(cold_host);
        for host in [origin::INTERCEPTED.to_owned(), origin::PASSED.to_owned()].into_iter().chain(cold) {
            command.args(["--connect-to", &format!("{host}:443:{}", setup.origin)]);
        }
        let mut server = Server::spawn(command, &setup.directory.log("authsome"))?;
        let line = server.announcement()?;
        let ready = clock::monotonic_ns();
        let address = line["address"].as_str().context("no address in the announcement")?.parse()?;
        let token = line["token_file"].as_str().context("no token file in the announcement")?;
        let token = String::from_utf8(read(Path::new(token))?)?;
        let authorization = Some(format!("Bearer {}", token.trim()));
        let entry = Entry { address, port: 443, authorization, server, ready };
        setup.lane(Name::Authsome, vec![(None, entry)], &self.roots)
    }

    /// Milliseconds from starting `authsome run` to the first instruction of its child.
    pub(crate) fn run_to_exec(&self, setup: &Setup) -> Result<f64> {
        let mut command = self.command();
        command.args(["run", "--upstream-ca"]).arg(&setup.origin_ca).arg("--");
        command.arg(&setup.program).arg("stamp");
        until_stamp(&mut command)
    }

    fn command(&self) -> Command {
        let mut command = process::command(&self.binary);
        command.arg("--home").arg(&self.path);
        command
    }

    fn login(&self) -> Result<()> {
        let mut command = self.command();
        command.args(["login", "bench", "--stdin"]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        child.stdin.take().context("no standard input")?.write_all(KEY.as_bytes())?;
        let done = child.wait_with_output()?;
        ensure!(done.status.success(), "login failed: {}", String::from_utf8_lossy(&done.stderr).trim());
        Ok(())
    }
}

/// Milliseconds from starting a command to the stamp that it prints.
pub(crate) fn until_stamp(command: &mut Command) -> Result<f64> {
    let start = clock::monotonic_ns();
    let text = String::from_utf8(output(command)?)?;
    let stamp = text.trim().parse().with_context(|| format!("no stamp: {text:?}"))?;
    Ok(clock::milliseconds(start, stamp))
}

fn definition() -> String {
    json!({
        "schema_version": 1,
        "name": "bench",
        "display_name": "Bench",
        "auth_type": "api_key",
        "flow": "api_key",
        "host_url": [origin::INTERCEPTED, format!("*.{}", origin::COLD)],
        "api_key": { "header_name": "Authorization", "header_prefix": "Bearer" },
    })
    .to_string()
}
