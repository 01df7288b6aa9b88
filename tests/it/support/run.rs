//! `authsome run` with a shell as its child that waits for the test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::client::Client;
use super::{PATIENCE, tls, until};

/// The child: shows its environment, then runs one line that it is given.
const CHILD: &str = "env; echo ready $$; read -r line; eval \"$line\"";

/// A run whose child is waiting; it is killed with the value.
pub(crate) struct Run {
    process: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    /// What the child's environment holds.
    pub(crate) environment: BTreeMap<String, String>,
    /// The child's process id.
    pub(crate) child: u32,
}

/// The shell command that [`Run::start`] expects as the child.
pub(crate) const SHELL: [&str; 3] = ["sh", "-c", CHILD];

impl Run {
    /// Starts the command, which runs [`SHELL`].
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take();
        let output = lines(process.stdout.take().unwrap());
        let mut environment = BTreeMap::new();
        let child = loop {
            let line = output.recv_timeout(PATIENCE).expect("the child's environment");
            match (line.strip_prefix("ready "), line.split_once('=')) {
                (Some(child), _) => break child.parse().unwrap(),
                (None, Some((name, value))) => environment.insert(name.to_owned(), value.to_owned()),
                (None, None) => None,
            };
        };
        Self { process, input, output, environment, child }
    }

    /// A variable of the child's environment, `""` when it is not set.
    pub(crate) fn variable(&self, name: &str) -> &str {
        self.environment.get(name).map_or("", String::as_str)
    }

    /// A client with what the child has: proxy URL and CA.
    pub(crate) fn client(&self) -> Client {
        let url = self.variable("HTTPS_PROXY").strip_prefix("http://").unwrap().trim_end_matches('/');
        let (user, address) = url.rsplit_once('@').unwrap();
        let token = user.split_once(':').unwrap().1.to_owned();
        let proxy: SocketAddr = address.parse().unwrap();
        let bundle = std::fs::read_to_string(self.variable("SSL_CERT_FILE")).unwrap();
        Client { proxy, token, roots: tls::roots(&bundle) }
    }

    /// Has the child run a last line.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line of output.
    pub(crate) fn line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("a line of the child")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.id()).unwrap()), signal).unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the end of `authsome run`.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the run to end", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a process exists and is no zombie.
pub(crate) fn alive(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn lines(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}
