//! Who descends from whom, as proc(5) tells it. Elsewhere than on Linux nobody descends from anybody.

use std::fs;

/// So many generations lie between a run and its youngest child at most.
const MAX_DEPTH: usize = 256;

/// Every process below one, orphans included where it is their subreaper.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut found = children(root);
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(children(pid));
        next += 1;
    }
    found
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Whether a process descends from another, by its chain of parents.
pub(crate) fn descends_from(pid: u32, ancestor: u32) -> bool {
    ancestors(pid).any(|parent| parent == ancestor)
}

/// The parent of a process, its parent's, and so on.
pub(crate) fn ancestors(pid: u32) -> impl Iterator<Item = u32> {
    let parent =
        |pid: &u32| stat_field(*pid, 4).and_then(|parent| u32::try_from(parent).ok()).filter(|pid| *pid > 0);
    std::iter::successors(parent(&pid), parent).take(MAX_DEPTH)
}

/// When a process started, in clock ticks since boot.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    stat_field(pid, 22)
}

/// A numeric field of `/proc/<pid>/stat`, counted from 1. The command in field 2 may hold anything but ends at
/// the last parenthesis.
fn stat_field(pid: u32, field: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    after.split_ascii_whitespace().nth(field.checked_sub(3)?)?.parse().ok()
}
