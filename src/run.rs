//! `authsome run`: the agent as a child process, wired to a proxy of its own.

#[cfg_attr(not(test), expect(dead_code, reason = "the child is spawned by what comes next to it"))]
pub(crate) mod environment;
#[cfg_attr(not(test), expect(dead_code, reason = "the child is spawned by what comes next to it"))]
pub(crate) mod shims;
