//! `authsome run`: the agent as a child process, wired to a proxy of its own.

pub(crate) mod child;
pub(crate) mod environment;
pub(crate) mod folder;
mod kernel;
pub(crate) use kernel::{blank_variable, exchange};
pub(crate) mod shims;

use std::path::Path;

use crate::process;
use folder::RunFolder;

/// Whether this process descends from a live run of this user. `runtime_folder` is where runs keep their folders.
pub(crate) fn is_inside(runtime_folder: Option<&Path>) -> bool {
    let live = RunFolder::live(&RunFolder::base(runtime_folder));
    !live.is_empty() && process::ancestors(std::process::id()).any(|pid| live.contains(&pid))
}
