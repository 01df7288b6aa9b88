//! The child and its descendants: started in the terminal's foreground, signalled, reaped, never orphaned.

use std::io;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};

use super::kernel;
use crate::process;

/// Between SIGTERM and SIGKILL for what the child left behind.
const GRACE: Duration = Duration::from_secs(2);
/// A killed process may have left children that only show now.
const KILL_ROUND: Duration = Duration::from_millis(50);
/// What a run passes on to its child.
const HANDED_ON: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];
/// `si_code` of a signal that the kernel sent, the terminal's own among them; the child got it as well.
const SI_KERNEL: i32 = 0x80;

/// Why there is no exit code of a child.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    /// No such program.
    #[error("{program}: not found")]
    NotFound { program: String },
    /// The program cannot be executed.
    #[error("{program}: cannot be executed")]
    NotExecutable { program: String, source: io::Error },
    /// The kernel refused what supervision needs.
    #[error("cannot supervise a child process")]
    Supervision(#[source] Errno),
}

impl ChildError {
    /// The shell's convention: 127 not found, 126 not executable.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            Self::Supervision(_) => 1,
        }
    }
}

/// Signals taken from every thread of this process, so that one loop sees them. Make it before any thread.
pub(crate) struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks the signals that concern a run, here and in all threads made later.
    pub(crate) fn take() -> Result<Self, ChildError> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        HANDED_ON.iter().for_each(|signal| set.add(*signal));
        set.thread_block().map_err(ChildError::Supervision)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&set, flags).map_err(ChildError::Supervision)?;
        Ok(Self { fd })
    }

    /// Waits for a signal that ends a service; `reload` is called at each SIGHUP.
    pub(crate) fn wait_for_end(&self, reload: impl Fn()) -> Result<Signal, ChildError> {
        loop {
            match self.next(None).map_err(ChildError::Supervision)? {
                Some((Signal::SIGHUP, _)) => reload(),
                Some((signal @ (Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT), _)) => {
                    return Ok(signal);
                }
                _ => {}
            }
        }
    }

    /// The next signal and whether the kernel sent it; `None` after `timeout`.
    fn next(&self, timeout: Option<Duration>) -> Result<Option<(Signal, bool)>, Errno> {
        let millis = timeout.map(|timeout| i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
        let timeout = PollTimeout::try_from(millis.unwrap_or(-1)).unwrap_or(PollTimeout::NONE);
        match poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        let Some(info) = self.fd.read_signal()? else { return Ok(None) };
        let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
        Ok(signal.map(|signal| (signal, info.ssi_code == SI_KERNEL)))
    }
}

/// Runs a command to its end and returns its exit code, 128 + n when signal n ended it. Its descendants get
/// SIGTERM then, and SIGKILL 2 s later; with `wait` they are waited for instead.
pub(crate) fn supervise(signals: &Signals, mut command: Command, wait: bool) -> Result<u8, ChildError> {
    nix::sys::prctl::set_child_subreaper(true).map_err(ChildError::Supervision)?;
    if let Some((signal, _)) = signals.next(Some(Duration::ZERO)).map_err(ChildError::Supervision)? {
        return Ok(by_signal(signal));
    }
    let terminal = Terminal::save();
    let child = start(&mut command)?;
    let code = follow(signals, child);
    let swept = if wait { reap_all(signals, None) } else { sweep(signals) };
    terminal.restore();
    if !swept.map_err(ChildError::Supervision)? {
        tracing::warn!("processes of the run are left: they could not be ended");
    }
    code.map_err(ChildError::Supervision)
}

/// The shell's exit code for a death by signal.
fn by_signal(signal: Signal) -> u8 {
    128u8.saturating_add(u8::try_from(signal as i32).unwrap_or(0))
}

fn start(command: &mut Command) -> Result<Pid, ChildError> {
    let program = command.get_program().to_string_lossy().into_owned();
    kernel::release_signals(command);
    let spawned = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ChildError::NotFound { program },
        _ => ChildError::NotExecutable { program, source },
    })?;
    Ok(Pid::from_raw(i32::try_from(spawned.id()).unwrap_or(i32::MAX)))
}

/// Hands signals on until the child has ended.
fn follow(signals: &Signals, child: Pid) -> Result<u8, Errno> {
    loop {
        if let Some(code) = reap(child)?.code {
            return Ok(code);
        }
        match signals.next(None)? {
            None | Some((Signal::SIGCHLD, _)) => {}
            // The terminal sent Ctrl-C to the whole foreground group: the child has it already.
            Some((Signal::SIGINT | Signal::SIGQUIT, true)) => {}
            Some((signal, _)) => {
                let _ = kill(child, signal);
            }
        }
    }
}

/// What one round of reaping found.
struct Reaped {
    /// The exit code of the process that was looked for.
    code: Option<u8>,
    /// Whether any child is left.
    alive: bool,
}

fn reap(child: Pid) -> Result<Reaped, Errno> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => {
                code = Some(u8::try_from(status & 0xff).unwrap_or(1));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                code = Some(by_signal(signal));
            }
            Ok(WaitStatus::StillAlive) => return Ok(Reaped { code, alive: true }),
            Err(Errno::ECHILD) => return Ok(Reaped { code, alive: false }),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Ends what the child left behind, and says whether nothing is left. Orphans are our children: we are their
/// subreaper. What is not ours to kill, a setuid program say, is left after another 2 s.
fn sweep(signals: &Signals) -> Result<bool, Errno> {
    if !reap(Pid::this())?.alive {
        return Ok(true);
    }
    signal_descendants(Signal::SIGTERM);
    if reap_all(signals, Some(GRACE))? {
        return Ok(true);
    }
    let killing = Instant::now();
    while killing.elapsed() < GRACE {
        signal_descendants(Signal::SIGKILL);
        if reap_all(signals, Some(KILL_ROUND))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn signal_descendants(signal: Signal) {
    for pid in process::descendants(std::process::id()) {
        if let Ok(pid) = i32::try_from(pid) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// Reaps until no child is left; false when `limit` passed first. A SIGTERM, SIGHUP or SIGINT meanwhile is
/// handed on.
fn reap_all(signals: &Signals, limit: Option<Duration>) -> Result<bool, Errno> {
    let started = Instant::now();
    while reap(Pid::this())?.alive {
        let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(false);
        }
        if let Some((signal, false)) = signals.next(left)?
            && signal != Signal::SIGCHLD
        {
            signal_descendants(signal);
        }
    }
    Ok(true)
}

/// The terminal's mode, which a child that was killed may have left raised.
struct Terminal(Option<Termios>);

impl Terminal {
    fn save() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    fn restore(&self) {
        // In the background the mode is somebody else's concern.
        let foreground = tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp());
        if let Some(mode) = self.0.as_ref().filter(|_| foreground) {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, mode);
        }
    }
}
