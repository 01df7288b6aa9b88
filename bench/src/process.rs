//! The measured processes: started, waited for, read through `/proc`, and ended with their owner.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::clock;

/// How long a process may take to say that it listens.
pub(crate) const START: Duration = Duration::from_secs(30);

/// Prints the line that says where this process accepts.
pub(crate) fn announce(address: SocketAddr) {
    println!("{}", json!({ "status": "listening", "address": address.to_string() }));
}

/// Makes a command free of this process's proxies and of any authsome settings.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs a command to its end and gives its standard output; its standard error belongs to the message of a failure.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{command:?} ended with {}: {}", output.status, log.trim());
    }
    Ok(output.stdout)
}

/// A server process; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    /// When it was started, by [`clock::monotonic_ns`].
    pub(crate) spawned: u64,
}

impl Server {
    /// Starts a server whose standard error goes to the file `log`.
    pub(crate) fn spawn(mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let spawned = clock::monotonic_ns();
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, log: log.to_owned(), spawned })
    }

    /// Waits for the one JSON line that says where it accepts.
    pub(crate) fn announcement(&mut self) -> Result<Value> {
        let stdout = self.child.stdout.take().context("standard output was read before")?;
        let line = first_line(stdout).with_context(|| self.story())?;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line:?}; {}", self.story()))
    }

    /// Fails when the process has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("ended with {status}; {}", self.story()),
            None => Ok(()),
        }
    }

    /// What it wrote to standard error so far.
    fn story(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("process {} said: {}", self.child.id(), text.trim())
    }

    /// CPU time of the whole process so far, all threads, user and system.
    ///
    /// The same sum as `utime` + `stime` in `/proc/<pid>/stat`, read through the process's CPU clock: nanoseconds, not ticks.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let clock =
            clock_getcpuclockid(Pid::from_raw(self.child.id() as i32)).with_context(|| self.story())?;
        Ok(Duration::from(clock_gettime(clock).with_context(|| self.story())?))
    }

    /// Resident memory in KiB, from `smaps_rollup`, else (a process that is not dumpable) from `status`.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let directory = PathBuf::from(format!("/proc/{}", self.child.id()));
        for (file, field) in [("smaps_rollup", "Rss:"), ("status", "VmRSS:")] {
            let text = std::fs::read_to_string(directory.join(file)).unwrap_or_default();
            if let Some(kib) = field_kib(&text, field) {
                return Ok(kib);
            }
        }
        bail!("no resident size; {}", self.story())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that ended by itself cannot be killed; reaping it is all that is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_line(stdout: ChildStdout) -> Result<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        let read = reader.read_line(&mut line).map(|_| line);
        // The receiver has given up when nobody takes it.
        let _ = sender.send(read);
        // Read on, so that the process is never stopped by a full pipe.
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
    });
    let line = receiver.recv_timeout(START).context("it did not say that it listens")??;
    if line.is_empty() {
        bail!("it ended before it listened");
    }
    Ok(line)
}

fn field_kib(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_size_is_read_from_both_forms() {
        assert_eq!(field_kib("Name:\tx\nVmRSS:\t    5120 kB\nThreads:\t1\n", "VmRSS:"), Some(5120));
        assert_eq!(
            field_kib("aabb ---p [rollup]\nRss:                1776 kB\nPss: 1 kB\n", "Rss:"),
            Some(1776)
        );
        assert_eq!(field_kib("Rss: many kB", "Rss:"), None);
    }

    #[test]
    fn a_server_that_ends_at_once_tells_what_it_said() {
        let log = std::env::temp_dir().join(format!("authsome-bench-test-{}", std::process::id()));
        let mut command = command(Path::new("/bin/sh"));
        command.args(["-c", "echo broken >&2"]);
        let mut server = Server::spawn(command, &log).unwrap();
        let error = format!("{:#}", server.announcement().unwrap_err());
        std::fs::remove_file(&log).unwrap();
        assert!(error.contains("ended before it listened") && error.contains("broken"), "{error}");
    }
}
