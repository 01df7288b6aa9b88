//! `authsome proxy` as a process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{PATIENCE, until};

/// A running proxy; it is killed with the value.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// Starts the command and waits for its line.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let (first_line, reader) = watch_stdout(&mut child, &output);
        let readers = vec![reader, watch_stderr(&mut child, &output)];
        let line = first_line.recv_timeout(PATIENCE).unwrap_or_default();
        let Ok(listening) = serde_json::from_str::<Value>(&line) else {
            let _ = child.kill();
            panic!("no listening line but {line:?}; {}", text(&output));
        };
        assert_eq!(listening["status"], "listening", "{listening}");
        let address = listening["address"].as_str().unwrap().parse().unwrap();
        let token = std::fs::read_to_string(listening["token_file"].as_str().unwrap()).unwrap();
        Self { child, address, token: token.trim().to_owned(), output, readers }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.process(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the proxy to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    /// SIGTERM, then the exit status and all that it ever printed.
    pub(crate) async fn stop(mut self) -> (ExitStatus, String) {
        self.signal(Signal::SIGTERM);
        let status = self.ended().await;
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status, text(&self.output))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }
}

impl Drop for Proxy {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the proxy said")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the proxy said:\n{}", text(&self.output));
        }
    }
}

fn text(output: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&output.lock().unwrap()).into_owned()
}

fn watch_stdout(child: &mut Child, output: &Arc<Mutex<Vec<u8>>>) -> (Receiver<String>, JoinHandle<()>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let stdout = child.stdout.take().unwrap();
    let output = output.clone();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            output.lock().unwrap().extend(format!("{line}\n").bytes());
            let _ = sender.send(line);
        }
    });
    (receiver, reader)
}

fn watch_stderr(child: &mut Child, output: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let mut stderr = child.stderr.take().unwrap();
    let output = output.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stderr.read(&mut buffer) {
            output.lock().unwrap().extend(&buffer[..length]);
        }
    })
}
