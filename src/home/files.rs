//! Files that hold something of value: opened without following links, owned by us, private,
//! replaced whole or not at all.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc::{O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK};
use zeroize::Zeroizing;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A link, folder, pipe, socket or device stands where a file is expected.
    #[error("{} is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// The file has a second name, through which somebody else may read or change it.
    #[error("{} has more than one hard link", .0.display())]
    Linked(PathBuf),
    /// Another user owns it.
    #[error("{} belongs to another user", .0.display())]
    NotOwned(PathBuf),
    /// Other users may read or write it.
    #[error("{} can be read or written by others (mode {mode:03o}); run: chmod {fix} {}", path.display(), path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The mode that it should have.
        fix: &'static str,
    },
    /// Larger than such a file ever is.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Another process holds the lock for too long.
    #[error("{} is locked by another process", .0.display())]
    Locked(PathBuf),
    /// The operating system refused; the source tells a full disk from a read-only one.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FileError {
    /// Whether the file or its folder does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { action, path, source }
}

/// Opens a file of ours with the given options. A symbolic link, a file with a second hard link,
/// another user's file and whatever is no regular file are refused; a pipe does not block.
pub fn open(path: &Path, options: &mut OpenOptions) -> Result<File, FileError> {
    let flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    let file = match options.custom_flags(flags).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if is_irregular(path) => {
            tracing::debug!(%error, "refused to open what is no regular file");
            return Err(FileError::NotRegular(path.to_owned()));
        }
        Err(source) => return Err(io_error("open", path)(source)),
    };
    let metadata = file.metadata().map_err(io_error("examine", path))?;
    check(path, &metadata)?;
    Ok(file)
}

/// Opens for appending; creates with mode 0600 whatever the umask.
pub fn open_append(path: &Path) -> Result<File, FileError> {
    open_or_create(path, OpenOptions::new().append(true))
}

/// Reads a whole file of ours, at most `limit` bytes; `None` when there is none.
pub fn read(path: &Path, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    match open(path, OpenOptions::new().read(true)) {
        Ok(file) => read_open(path, file, limit).map(Some),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// As [`read`], and refuses a file that others may read or write.
pub fn read_private(path: &Path, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    let file = match open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mode = file.metadata().map_err(io_error("examine", path))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode, fix: "600" });
    }
    read_open(path, file, limit).map(Some)
}

/// Puts `content` in the place of the file, mode 0600: after a crash the old or the new content is there.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => check(path, &metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_error("examine", path)(error)),
    }
    let staged = stage(path, content)?;
    staged.persist(path).map_err(|error| io_error("replace", path)(error.error))?;
    sync_folder(path)
}

/// Creates the file with all its content at once, mode 0600; `false` when it is there already.
pub fn create(path: &Path, content: &[u8]) -> Result<bool, FileError> {
    let staged = stage(path, content)?;
    match staged.persist_noclobber(path) {
        Ok(_) => sync_folder(path).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io_error("create", path)(error.error)),
    }
}

/// Makes a folder of mode 0700, whatever the umask; one that exists must be ours.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o700))
            .and_then(|()| path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()))
            .map_err(io_error("create", path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_folder(path),
        Err(error) => Err(io_error("create", path)(error)),
    }
}

/// Checks that a folder is ours and that nobody else may write to it.
pub fn check_folder(path: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(path).map_err(io_error("examine", path))?;
    if !metadata.is_dir() {
        return Err(FileError::NotRegular(path.to_owned()));
    }
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(FileError::NotOwned(path.to_owned()));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode, fix: "700" });
    }
    Ok(())
}

/// An advisory lock, held until it is dropped or the process ends.
#[derive(Debug)]
#[must_use = "the lock ends with the value"]
pub struct FileLock {
    _file: File,
}

/// Takes the exclusive lock of a file, which is created when missing, waiting at most `patience`.
pub fn lock(path: &Path, patience: Duration) -> Result<FileLock, FileError> {
    let file = open_or_create(path, OpenOptions::new().write(true))?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(FileLock { _file: file }),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => return Err(FileError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io_error("lock", path)(source)),
        }
    }
}

/// Opens, or creates with mode 0600 whatever the umask.
pub(crate) fn open_or_create(path: &Path, options: &mut OpenOptions) -> Result<File, FileError> {
    match open(path, options) {
        Err(error) if error.is_missing() => {}
        opened => return opened,
    }
    match open(path, options.create_new(true)) {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(0o600)).map_err(io_error("protect", path))?;
            Ok(file)
        }
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            open(path, options.create_new(false))
        }
        Err(error) => Err(error),
    }
}

fn check(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    if !metadata.is_file() {
        return Err(FileError::NotRegular(path.to_owned()));
    }
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(FileError::NotOwned(path.to_owned()));
    }
    if metadata.nlink() > 1 {
        return Err(FileError::Linked(path.to_owned()));
    }
    Ok(())
}

fn is_irregular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

fn read_open(path: &Path, file: File, limit: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let size = file.metadata().map_err(io_error("examine", path))?.len().min(limit);
    let capacity = usize::try_from(size).unwrap_or(0).saturating_add(2);
    let mut content = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(limit.saturating_add(1)).read_to_end(&mut content).map_err(io_error("read", path))?;
    if content.len() as u64 > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(content)
}

fn stage(path: &Path, content: &[u8]) -> Result<tempfile::NamedTempFile, FileError> {
    let private = Permissions::from_mode(0o600);
    let mut staged = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(private.clone())
        .tempfile_in(folder_of(path))
        .map_err(io_error("create a file beside", path))?;
    staged
        .as_file()
        .set_permissions(private)
        .and_then(|()| staged.write_all(content))
        .and_then(|()| staged.as_file().sync_all())
        .map_err(io_error("write", path))?;
    Ok(staged)
}

/// Makes what was done to the names beside a path durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), FileError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(io_error("sync", folder))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_file_of_ours_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "precious").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let dangling = folder.path().join("dangling");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &dangling).unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        for path in [&link, &dangling, &pipe, &folder.path().to_owned()] {
            assert!(matches!(read(path, 10), Err(FileError::NotRegular(_))), "{}", path.display());
            assert!(matches!(replace(path, b"x"), Err(FileError::NotRegular(_))), "{}", path.display());
            assert!(matches!(open_append(path), Err(FileError::NotRegular(_))), "{}", path.display());
            assert!(lock(path, Duration::ZERO).is_err(), "{}", path.display());
        }
        let twin = folder.path().join("twin");
        fs::hard_link(&target, &twin).unwrap();
        assert!(matches!(read(&twin, 10), Err(FileError::Linked(_))));
        assert!(matches!(replace(&twin, b"x"), Err(FileError::Linked(_))));
        assert_eq!(fs::read(&target).unwrap(), b"precious");
    }

    #[test]
    fn a_file_that_others_may_read_is_not_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(create(&path, b"one").unwrap());
        assert_eq!(&**read_private(&path, 3).unwrap().unwrap(), b"one");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(matches!(read_private(&path, 3), Err(FileError::Exposed { .. })), "{mode:o}");
        }
    }

    #[test]
    fn creating_never_overwrites_and_replacing_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(create(&path, b"one").unwrap());
        assert!(!create(&path, b"two").unwrap());
        assert_eq!(&**read(&path, 9).unwrap().unwrap(), b"one");
        replace(&path, b"three").unwrap();
        assert_eq!(&**read(&path, 9).unwrap().unwrap(), b"three");
        assert!(matches!(read(&path, 4), Err(FileError::TooLarge { limit: 4, .. })));
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "no staged file is left");
    }

    #[test]
    fn a_held_lock_is_an_error_after_the_patience() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock(&path, Duration::ZERO).unwrap();
        assert!(matches!(lock(&path, Duration::from_millis(5)), Err(FileError::Locked(_))));
        drop(held);
        assert!(lock(&path, Duration::ZERO).is_ok());
    }
}
