//! What happens between fork and exec, where only the kernel may be called.
#![expect(unsafe_code, reason = "this is the one room for it")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::SigSet;

/// Lets the child have the signals that this process keeps to itself: their mask outlives exec.
pub(super) fn release_signals(command: &mut Command) {
    let release = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: the closure makes one call, which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(release) };
}
