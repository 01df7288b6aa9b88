//! A run's own folder: locked while the run lives, so that a stale one can be told and removed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const PREFIX: &str = "authsome-run-";
const LOCK: &str = "lock";

/// A folder that lives as long as its run.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Where runs keep their folders: the user's runtime folder, or `/tmp`. A path with a space is of no use,
    /// because some clients cannot quote it.
    pub(crate) fn base(runtime: Option<&Path>) -> PathBuf {
        let usable = |path: &&Path| path.is_dir() && !path.to_string_lossy().contains(char::is_whitespace);
        runtime.filter(usable).unwrap_or(Path::new("/tmp")).to_owned()
    }

    /// Makes a folder of mode 0700 and locks it.
    ///
    /// # Errors
    /// When the base cannot be written.
    pub(crate) fn create(base: &Path) -> io::Result<Self> {
        loop {
            let path = nix::unistd::mkdtemp(&base.join(format!("{PREFIX}XXXXXX")))?;
            let mut lock =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path.join(LOCK))?;
            lock.lock()?;
            // Another run may have taken the folder for a stale one before it was locked.
            if path.join(LOCK).exists() {
                write!(lock, "{}", std::process::id())?;
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folders of runs that ended without doing so.
    pub(crate) fn remove_stale(base: &Path) {
        for path in own_folders(base) {
            let lock =
                OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path.join(LOCK));
            if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    /// The process ids of the runs that are alive.
    pub(crate) fn live(base: &Path) -> Vec<u32> {
        own_folders(base).into_iter().filter_map(|path| owner(&path)).collect()
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The process that holds a folder's lock.
fn owner(path: &Path) -> Option<u32> {
    let lock =
        OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path.join(LOCK)).ok()?;
    if !matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let mut pid = String::new();
    (&lock).take(16).read_to_string(&mut pid).ok()?;
    pid.parse().ok()
}

/// Real folders of our own user that carry our name and are closed to everybody else.
fn own_folders(base: &Path) -> Vec<PathBuf> {
    let euid = nix::unistd::geteuid().as_raw();
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let ours = |path: &PathBuf| {
        fs::symlink_metadata(path)
            .is_ok_and(|meta| meta.is_dir() && meta.uid() == euid && meta.mode() & 0o077 == 0)
    };
    named.map(|entry| entry.path()).filter(ours).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::DirBuilderExt;

    #[test]
    fn a_live_run_keeps_its_folder_and_a_stale_one_goes() {
        let base = tempfile::tempdir().unwrap();
        let live = RunFolder::create(base.path()).unwrap();
        let stale = base.path().join(format!("{PREFIX}stale1"));
        fs::DirBuilder::new().mode(0o700).create(&stale).unwrap();
        fs::write(stale.join(LOCK), "1").unwrap();
        fs::write(stale.join("bundle.pem"), "x").unwrap();
        RunFolder::remove_stale(base.path());
        assert!(live.path().exists() && !stale.exists());
        assert_eq!(RunFolder::live(base.path()), [std::process::id()]);
        let path = live.path().to_owned();
        drop(live);
        assert!(!path.exists());
    }

    #[test]
    fn a_link_or_a_foreign_folder_is_left_alone() {
        let base = tempfile::tempdir().unwrap();
        let precious = base.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join(LOCK), "1").unwrap();
        std::os::unix::fs::symlink(&precious, base.path().join(format!("{PREFIX}link"))).unwrap();
        let open = base.path().join(format!("{PREFIX}open"));
        fs::DirBuilder::new().mode(0o755).create(&open).unwrap();
        fs::write(open.join(LOCK), "1").unwrap();
        RunFolder::remove_stale(base.path());
        assert!(precious.join(LOCK).exists() && open.join(LOCK).exists());
    }
}
