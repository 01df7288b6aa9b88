//! Looks at every process of a run, for as long as it takes, and at the files that live no longer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::leaks::Needle;

/// What the looks at the processes brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sightings {
    /// The command lines seen, words separated by blanks.
    pub(crate) commands: BTreeSet<String>,
    /// How many entries the folder had, at each look.
    pub(crate) folders: BTreeSet<usize>,
    /// Where a secret was: `environ of <command>: <form>`, `<path>: <form>`.
    pub(crate) leaks: BTreeSet<String>,
}

/// Looks now and then, and whenever it is told to.
pub(crate) struct Watch {
    eye: Arc<Eye>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One that can be told to look from elsewhere.
pub(crate) struct Eye {
    needles: Vec<Needle>,
    /// The process that is looked at with all below it; 0: none yet.
    root: AtomicU32,
    /// Where the files of a run are.
    folder: PathBuf,
    seen: Mutex<Sightings>,
}

impl Watch {
    /// Starts to look for secrets, in a folder too.
    pub(crate) fn start(needles: Vec<Needle>, folder: PathBuf) -> Self {
        let eye = Arc::new(Eye { needles, root: AtomicU32::new(0), folder, seen: Mutex::default() });
        let ended = Arc::new(AtomicBool::new(false));
        let (looking, stop) = (eye.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                looking.look();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { eye, ended, thread: Some(thread) }
    }

    pub(crate) fn eye(&self) -> Arc<Eye> {
        self.eye.clone()
    }

    /// From now on this process is looked at.
    pub(crate) fn follow(&self, process: u32) {
        self.eye.root.store(process, Ordering::Relaxed);
    }

    /// Ends it.
    pub(crate) fn end(mut self) -> Sightings {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.eye.seen.lock().unwrap().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Eye {
    /// Searches the files, which nobody may be about to remove.
    pub(crate) fn look_at_files(&self) {
        let found: Vec<_> = self.needles.iter().flat_map(|needle| needle.found_below(&self.folder)).collect();
        let mut seen = self.seen.lock().unwrap();
        seen.folders.insert(std::fs::read_dir(&self.folder).unwrap().count());
        seen.leaks.extend(found);
    }

    /// Reads `environ` and `cmdline` of every process. One that ends meanwhile is left out.
    pub(crate) fn look(&self) {
        let root = self.root.load(Ordering::Relaxed);
        if root == 0 {
            return;
        }
        for process in family(root) {
            let folder = Path::new("/proc").join(process.to_string());
            let command = std::fs::read(folder.join("cmdline")).unwrap_or_default();
            let environment = std::fs::read(folder.join("environ")).unwrap_or_default();
            let line = String::from_utf8_lossy(&command).replace('\0', " ");
            let mut seen = self.seen.lock().unwrap();
            for (what, text) in [("cmdline", &command), ("environ", &environment)] {
                let leaks = self.needles.iter().flat_map(|needle| needle.found_in(text));
                seen.leaks.extend(leaks.map(|form| format!("{what} of {line}: {form}")));
            }
            seen.commands.insert(line);
        }
    }
}

/// A process and all below it; those whose parent died hang below the run, which adopts them.
fn family(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent(process) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children.get(process).cloned().unwrap_or_default());
        next += 1;
    }
    found
}

/// Field 4 of `/proc/PID/stat`, after the name, which may hold anything.
fn parent(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    status.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
