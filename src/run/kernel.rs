//! What no safe call does: the time between fork and exec, and the environment as the kernel shows it.
#![expect(unsafe_code, reason = "this is the one room for it")]

use std::ffi::CStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use nix::sys::signal::SigSet;

/// Lets the child have the signals that this process keeps to itself: their mask outlives exec.
pub(super) fn release_signals(command: &mut Command) {
    let release = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: the closure makes one call, which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(release) };
}

/// Overwrites the value of a variable where `/proc/<pid>/environ` shows it. Who needs it has read it before.
pub(crate) fn blank_variable(name: &CStr) {
    // SAFETY: called before any other thread exists. The value is a C string of this process's own, and its bytes up to
    // the end are overwritten in place.
    unsafe {
        let mut byte = libc::getenv(name.as_ptr());
        while !byte.is_null() && *byte != 0 {
            byte.write_volatile(0);
            byte = byte.add(1);
        }
    }
}
