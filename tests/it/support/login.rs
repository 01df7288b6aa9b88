//! `authsome --json login` as a process that a test drives.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;

use serde_json::Value;

use super::PATIENCE;

/// A login under way; it is killed with the value.
pub(crate) struct Login {
    process: Child,
    input: Option<ChildStdin>,
    steps: Receiver<String>,
}

impl Login {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (sender, steps) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { process, input, steps }
    }

    /// The next line of JSON on standard error.
    pub(crate) fn step(&self) -> Value {
        loop {
            let line = self.steps.recv_timeout(PATIENCE).expect("a step of the login");
            if let Ok(step) = serde_json::from_str(&line) {
                return step;
            }
        }
    }

    pub(crate) fn auth_url(&self) -> String {
        let step = self.step();
        assert_eq!(step["status"], "pending", "{step}");
        step["auth_url"].as_str().unwrap().to_owned()
    }

    pub(crate) fn paste(&mut self, line: &str) {
        self.type_in(&format!("{line}\n"));
    }

    /// A login that asks for nothing does not read its input.
    pub(crate) fn type_in(&mut self, text: &str) {
        let _ = self.input.as_mut().unwrap().write_all(text.as_bytes());
    }

    /// Nothing more is typed.
    pub(crate) fn close(&mut self) {
        drop(self.input.take());
    }

    /// All that it says on standard error, to its end.
    pub(crate) fn said(&self) -> Vec<String> {
        self.steps.iter().collect()
    }

    /// The exit code, and what standard output has.
    pub(crate) fn ended(mut self) -> (i32, Value) {
        drop(self.input.take());
        let mut text = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let status = self.process.wait().unwrap();
        (status.code().unwrap(), serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text:?}")))
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
