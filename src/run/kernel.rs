//! What no safe call does: the time between fork and exec, and the environment as the kernel shows it.
#![expect(unsafe_code, reason = "this is the one room for it")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::libc;
use nix::sys::signal::SigSet;

/// Lets the child have the signals that this process keeps to itself: their mask outlives exec.
pub(super) fn release_signals(command: &mut Command) {
    let release = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: the closure makes one call, which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(release) };
}

/// Puts two folders in each other's place, in one step of the file system.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let (one, other) = (path(one)?, path(other)?);
    // SAFETY: both are C strings that outlive the call, which changes no memory of ours.
    #[cfg(target_os = "linux")]
    let outcome = unsafe {
        let here = libc::c_long::from(libc::AT_FDCWD);
        let flags = libc::c_long::from(libc::RENAME_EXCHANGE);
        libc::syscall(libc::SYS_renameat2, here, one.as_ptr(), here, other.as_ptr(), flags)
    };
    // SAFETY: as above.
    #[cfg(target_os = "macos")]
    let outcome = unsafe { libc::renamex_np(one.as_ptr(), other.as_ptr(), libc::RENAME_SWAP) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
