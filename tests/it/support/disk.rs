//! A disk that a test can fill, in a mount namespace of the test's own thread: only what it starts sees it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

const KIB: usize = 1024;
const NOTHING: Option<&str> = None;

/// A mounted disk; it goes with the value.
pub(crate) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts an empty disk in the place of a folder; `None`, and a line that says so, where we may not.
    #[expect(clippy::print_stderr, reason = "says why a test checks nothing")]
    pub(crate) fn mount(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let private = unshare(CloneFlags::CLONE_NEWNS)
            .and_then(|()| mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING));
        let mounted = private.and_then(|()| {
            mount(Some("none"), folder, Some("tmpfs"), MsFlags::empty(), Some("size=1m,mode=700"))
        });
        if let Err(error) = mounted {
            eprintln!("skipped: no disk can be mounted here: {error}");
            return None;
        }
        Some(Self { folder: folder.to_owned() })
    }

    /// Fills the disk but for so many KiB.
    pub(crate) fn fill(&self, room: usize) {
        self.clear();
        let mut file = File::create(self.filler()).unwrap();
        let mut size = 0;
        loop {
            match file.write(&[0; 4 * KIB]) {
                Ok(written) => size += written,
                Err(error) => break assert_eq!(error.kind(), ErrorKind::StorageFull),
            }
        }
        file.set_len((size - room * KIB) as u64).unwrap();
    }

    /// Makes room again.
    pub(crate) fn clear(&self) {
        let emptied = OpenOptions::new().write(true).truncate(true).open(self.filler());
        assert!(emptied.is_ok() || !self.filler().exists());
    }

    pub(crate) fn make_read_only(&self) {
        self.remount(MsFlags::MS_RDONLY);
    }

    pub(crate) fn make_writable(&self) {
        self.remount(MsFlags::empty());
    }

    fn remount(&self, flags: MsFlags) {
        mount(NOTHING, &self.folder, NOTHING, MsFlags::MS_REMOUNT | flags, NOTHING).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("lost+found")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.folder, MntFlags::MNT_DETACH);
    }
}
