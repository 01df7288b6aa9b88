//! What opens a page inside a run, replaced by a note of its URL.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::home::Home;
use crate::support::until;

/// The system's.
const OPENER: &str = "/usr/bin/xdg-open";

/// Why it cannot be replaced here.
pub(crate) fn missing() -> Option<String> {
    let can = Path::new(OPENER).is_file() && unshared().is_some();
    (!can).then(|| format!("{OPENER} cannot be replaced here"))
}

/// A login that a program inside a run asks for.
pub(crate) struct Asked {
    pub(crate) login: Child,
    /// What the opener was given.
    pub(crate) url: String,
    /// What the program reads of it.
    said: PathBuf,
}

impl Asked {
    /// `authsome run -- authsome login …`, up to the moment at which a page is opened.
    pub(crate) fn begin(home: &Home, login: &[&str]) -> Self {
        let scratch = |name: &str| home.scratch().join(name);
        let (opener, opened, said) = (scratch("opener"), scratch("opened"), scratch("said"));
        let script = format!("#!/bin/sh\nprintf '%s' \"$1\" > {0}.new && mv {0}.new {0}\n", opened.display());
        std::fs::write(&opener, script).unwrap();
        std::fs::set_permissions(&opener, PermissionsExt::from_mode(0o755)).unwrap();
        let ours = home.command();
        let mut command = unshared().unwrap();
        command.env_clear().envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("DISPLAY", ":0").env("BROWSER", "false");
        let script = "mount --bind \"$1\" \"$2\" && shift 2 && program=$1 home=$2 && shift 2 && \
            exec \"$program\" --home \"$home\" run -- \"$program\" --home \"$home\" login \"$@\"";
        command.args(["sh", "-c", script, "sh"]).arg(&opener).arg(OPENER).arg(ours.get_program());
        command.arg(home.path()).args(login).stdin(Stdio::null());
        let output = File::create(&said).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let login = command.spawn().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(until("the page is opened", || opened.exists()));
        let url = std::fs::read_to_string(opened).unwrap();
        Self { login, url, said }
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }
}

/// A command that runs another one where the mounts are its own, if that is allowed.
fn unshared() -> Option<Command> {
    let flags = ["--mount", "--map-root-user"];
    (1..=flags.len()).find_map(|count| {
        let mut command = Command::new("unshare");
        command.args(&flags[..count]);
        let mut trial = Command::new("unshare");
        let tried = trial.args(&flags[..count]).arg("true").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success()).then_some(command)
    })
}
