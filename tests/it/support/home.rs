//! An `AUTHSOME_HOME` of a test's own, and the program's commands on it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::definition::Definition;
use super::until;

/// A temporary home; it goes with the value.
pub(crate) struct Home {
    directory: TempDir,
    runtime: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = || tempfile::Builder::new().prefix("authsome-it-").tempdir().unwrap();
        Self { directory: folder(), runtime: folder() }
    }

    /// Where runs keep their files.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.runtime.path().to_owned()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// A folder beside the home.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// The program with an environment that holds nothing of ours.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_authsome"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.scratch()).env("TMPDIR", self.scratch()).env("LANG", "C.UTF-8");
        command.env("XDG_RUNTIME_DIR", self.runtime());
        command.arg("--home").arg(self.path()).stdin(Stdio::null());
        command
    }

    /// A command's output, whatever its exit code.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// What a command that must succeed prints.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        succeeded(arguments, &self.run(arguments))
    }

    /// Runs with something on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read its input is judged by its exit code.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Writes a custom definition.
    pub(crate) fn define(&self, definition: &Definition) {
        let folder = self.path().join("providers");
        std::fs::create_dir_all(&folder).unwrap();
        let text = serde_json::to_string_pretty(&definition.0).unwrap();
        std::fs::write(folder.join(format!("{}.json", definition.name())), text).unwrap();
    }

    /// Stores a key.
    #[track_caller]
    pub(crate) fn login(&self, provider: &str, key: &str) {
        self.login_with(&["login", provider, "--stdin"], key);
    }

    /// Stores a key by a `login` command with flags.
    #[track_caller]
    pub(crate) fn login_with(&self, arguments: &[&str], input: &str) {
        succeeded(arguments, &self.run_with(arguments, input));
    }

    pub(crate) fn audit_file(&self) -> PathBuf {
        self.path().join("audit.log")
    }

    /// The audit events so far.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.audit_file()).unwrap_or_default();
        let (complete, _) = text.rsplit_once('\n').unwrap_or_default();
        complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for an audit event of a kind that a condition holds for.
    pub(crate) async fn audited(&self, event: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let mut found = None;
        until(&format!("audit event {event}"), || {
            found = self.audit().into_iter().find(|entry| entry["event"] == event && holds(entry));
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

#[track_caller]
fn succeeded(arguments: &[&str], output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{text}\n{error}", output.status);
    text
}
