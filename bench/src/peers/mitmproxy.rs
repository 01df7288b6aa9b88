//! mitmproxy with an addon that places one header: installed into a venv beside this program's build.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Setup, credential, read};
use crate::lane::{Entry, Lane, Name};
use crate::process::{self, START, Server, output};
use crate::{clock, origin};

/// The last release for Python 3.11.
const PACKAGE: &str = "mitmproxy==11.0.2";
const ADDON: &str = include_str!("mitmproxy/addon.py");

/// An installed mitmproxy with a configuration folder, its CA made.
pub(crate) struct Installed {
    binary: PathBuf,
    configuration: PathBuf,
    addon: PathBuf,
}

impl Installed {
    pub(super) fn prepare(setup: &Setup, label: &str) -> Result<Self> {
        let binary = install(&setup.program)?;
        let configuration = setup.directory.sub(&format!("mitmproxy-{label}"))?;
        let addon = configuration.join("addon.py");
        std::fs::write(&addon, ADDON)?;
        let installed = Self { binary, configuration, addon };
        // The first start makes the CA.
        drop(installed.start(setup)?);
        Ok(installed)
    }

    pub(super) fn start(&self, setup: &Setup) -> Result<Lane> {
        let address = free_address()?;
        let setting = |name: &str, value: &Path| format!("{name}={}", value.display());
        let mut command = process::command(&self.binary);
        command.args(["--quiet", "--listen-host", "127.0.0.1", "--listen-port", &address.port().to_string()]);
        command.args(["--ignore-hosts", &format!("^{}", origin::PASSED.replace('.', "\\."))]);
        command.arg("--scripts").arg(&self.addon);
        let settings = [
            setting("confdir", &self.configuration),
            setting("ssl_verify_upstream_trusted_ca", &setup.origin_ca),
            "connection_strategy=lazy".to_owned(),
            "stream_large_bodies=1m".to_owned(),
            format!("bench_credential={}", credential()),
        ];
        for setting in settings {
            command.args(["--set", &setting]);
        }
        let mut server = Server::spawn(command, &setup.directory.log("mitmproxy"))?;
        wait_until_accepting(&mut server, address)?;
        let ready = clock::monotonic_ns();
        let mut roots = read(&self.configuration.join("mitmproxy-ca-cert.pem"))?;
        roots.extend(read(&setup.origin_ca)?);
        let entry = Entry { address, port: setup.origin.port(), authorization: None, server, ready };
        setup.lane(Name::Mitmproxy, vec![(None, entry)], &roots)
    }
}

/// Installs it, once, under the folder that this program was built in.
fn install(program: &Path) -> Result<PathBuf> {
    let target = program.ancestors().nth(2).context("this program lies in no build folder")?;
    let venv = target.join("bench-mitmproxy");
    let binary = venv.join("bin/mitmdump");
    if !binary.exists() {
        eprintln!("installing {PACKAGE} into {}", venv.display());
        output(process::command(Path::new("python3")).args(["-m", "venv"]).arg(&venv))?;
        output(process::command(&venv.join("bin/pip")).args(["install", "--quiet", PACKAGE]))?;
    }
    Ok(binary)
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

fn wait_until_accepting(server: &mut Server, address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        server.check_alive()?;
        if Instant::now() > deadline {
            bail!("nothing accepts at {address}");
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
