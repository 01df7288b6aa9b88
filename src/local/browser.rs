//! Opens a page in the person's browser.
//!
//! The program is started without a shell, with the URL as its last argument, in a process group of its own: Ctrl-C at
//! the terminal is not for it. It gets none of our variables, which may hold keys.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::unistd::{User, getuid};

use crate::config::{Environment, Screen};

/// A program that fails does so within this time; one that still runs then is a browser.
const STARTING: Duration = Duration::from_secs(2);
/// Browsers that would need the terminal.
const TEXT_BROWSERS: [&str; 6] = ["w3m", "lynx", "links", "links2", "elinks", "www-browser"];
/// Programs that know the person's browser, with the arguments before the URL.
#[cfg(not(target_os = "macos"))]
const SYSTEM: [(&str, &[&str]); 3] = [("xdg-open", &[]), ("gio", &["open"]), ("wslview", &[])];
#[cfg(target_os = "macos")]
const SYSTEM: [(&str, &[&str]); 1] = [("open", &[])];
/// Where the system has its programs.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// What a program needs to find the screen.
const SCREEN_VARIABLES: [&str; 10] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "XDG_CURRENT_DESKTOP",
    "XDG_SESSION_TYPE",
    "DESKTOP_SESSION",
    "DBUS_SESSION_BUS_ADDRESS",
    "LANG",
    "LC_ALL",
];

/// Why no browser was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrowserError {
    /// Neither `BROWSER` nor the system names one that works without the terminal.
    #[error("there is no browser")]
    None,
    /// It could not be started.
    #[error("{0} cannot be started")]
    Start(String, #[source] io::Error),
    /// It ended at once.
    #[error("{0} failed ({1})")]
    Failed(String, ExitStatus),
}

/// Who opens what, and where.
pub(crate) struct Browser<'a> {
    pub(crate) screen: &'a Screen,
    pub(crate) environment: &'a Environment,
    pub(crate) trust: Trust,
}

/// Who says which browser is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The person: `BROWSER` counts, and `PATH`.
    Person,
    /// The system alone: the environment is that of a run, and may be the agent's.
    System,
}

impl Browser<'_> {
    /// Whether a page can be shown at all.
    pub(crate) fn is_possible(&self) -> bool {
        self.screen.display || self.wish().is_some()
    }

    /// Opens a URL. Returns when the browser has started, or after 2 s.
    ///
    /// # Errors
    /// When there is no browser, or it fails at once.
    pub(crate) fn open(&self, url: &str) -> Result<(), BrowserError> {
        let mut failure = BrowserError::None;
        for mut command in self.commands(url) {
            let program = command.get_program().to_string_lossy().into_owned();
            match started(&mut command, program) {
                Ok(()) => return Ok(()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// `BROWSER`, where the person said it.
    fn wish(&self) -> Option<&str> {
        self.screen.browser.as_deref().filter(|_| self.trust == Trust::Person)
    }

    fn commands(&self, url: &str) -> Vec<Command> {
        let mut commands: Vec<Command> = match self.wish() {
            Some(browser) => browser.split(':').filter_map(|one| named(one, url)).collect(),
            None => SYSTEM.iter().filter_map(|(name, first)| self.system(name, first, url)).collect(),
        };
        for command in &mut commands {
            match self.trust {
                Trust::Person => self.withhold_ours(command),
                Trust::System => self.leave_the_screen(command),
            }
            command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        }
        commands
    }

    fn system(&self, name: &str, first: &[&str], url: &str) -> Option<Command> {
        let mut command = match self.trust {
            Trust::Person => Command::new(name),
            Trust::System => Command::new(installed(name)?),
        };
        command.args(first).arg(url);
        Some(command)
    }

    fn withhold_ours(&self, command: &mut Command) {
        for (name, _) in self.environment.all() {
            if name.as_encoded_bytes().starts_with(b"AUTHSOME_") {
                command.env_remove(name);
            }
        }
    }

    /// Leaves the variables that lead to the screen, and the home that the system gives this user.
    fn leave_the_screen(&self, command: &mut Command) {
        let leads = |name: &OsStr| SCREEN_VARIABLES.iter().any(|known| name == *known);
        let kept = self.environment.all().iter().filter(|(name, _)| leads(name));
        command.env_clear().envs(kept.map(|(name, value)| (name, value))).env("PATH", SYSTEM_PATH);
        if let Ok(Some(user)) = User::from_uid(getuid()) {
            command.env("HOME", user.dir);
        }
    }
}

/// One entry of `BROWSER`: a program with arguments, `%s` for the URL.
fn named(entry: &str, url: &str) -> Option<Command> {
    let mut words = entry.split_whitespace();
    let program = words.next()?;
    let name = program.rsplit('/').next().unwrap_or(program);
    if TEXT_BROWSERS.contains(&name) {
        return None;
    }
    let mut command = Command::new(program);
    let mut placed = false;
    for word in words {
        placed |= word.contains("%s");
        command.arg(word.replace("%s", url));
    }
    if !placed {
        command.arg(url);
    }
    Some(command)
}

/// The program as the system has it.
fn installed(name: &str) -> Option<PathBuf> {
    std::env::split_paths(SYSTEM_PATH).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Starts a program, and sees whether it fails at once. Its end is awaited on a thread.
fn started(command: &mut Command, program: String) -> Result<(), BrowserError> {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Err(BrowserError::Start(program, error)),
    };
    let (sender, ended) = channel();
    let waiter = std::thread::Builder::new().name("browser".to_owned()).spawn(move || {
        // Nobody listens any more to a browser that ran for a while.
        let _ = sender.send(child.wait());
    });
    if let Err(error) = waiter {
        tracing::debug!(%error, "nobody waits for the browser");
        return Ok(());
    }
    match ended.recv_timeout(STARTING) {
        Ok(Ok(status)) if !status.success() => Err(BrowserError::Failed(program, status)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
