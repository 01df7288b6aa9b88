//! `profiles/<name>/generation`: how a running proxy learns that a store has changed.
//!
//! The file holds eight bytes, a little-endian number. A writer makes it odd before its commit and
//! even after, so whoever reads an even number twice knows that nothing was committed in between.
//! It is created by rename and then changed in place: a reader needs one `pread`, and never sees a
//! short file. A recreated file starts at a random number, so that no number means two states.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::home::files::{self, FileError};

/// Why the generation is not known. Nothing cached may be used then.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// The file is missing or not eight bytes long.
    #[error("{} is missing or damaged", .0.display())]
    Missing(PathBuf),
    /// It cannot be opened, read or written.
    #[error("the generation of the profile cannot be read or written")]
    File(#[from] FileError),
    /// No random bytes for a first number.
    #[error("the system gave no random bytes for a first generation")]
    Random,
}

/// Whether a generation was read in the middle of a write: then nothing may be cached.
pub fn is_unsettled(generation: u64) -> bool {
    generation % 2 == 1
}

/// A writer's turn. The holder has the profile's lock.
pub(super) struct Turn {
    path: PathBuf,
    file: File,
    odd: u64,
}

impl Turn {
    /// Makes the generation odd. What a killed writer left odd is passed over.
    pub(super) fn begin(path: &Path) -> Result<Self, GenerationError> {
        create(path)?;
        let file = files::open(path, OpenOptions::new().read(true).write(true))?;
        let last = read(&file).ok_or_else(|| GenerationError::Missing(path.to_owned()))?;
        let odd = last.wrapping_add(if is_unsettled(last) { 2 } else { 1 });
        let turn = Self { path: path.to_owned(), file, odd };
        turn.write(odd)?;
        Ok(turn)
    }

    /// Makes the generation even again.
    pub(super) fn end(self) -> Result<(), GenerationError> {
        self.write(self.odd.wrapping_add(1))
    }

    fn write(&self, number: u64) -> Result<(), GenerationError> {
        Ok(self.file.write_all_at(&number.to_le_bytes(), 0).map_err(files::io_error("write", &self.path))?)
    }
}

/// Creates the file unless it is there and whole. For holders of the profile's lock.
pub(super) fn create(path: &Path) -> Result<(), GenerationError> {
    match files::open(path, OpenOptions::new().read(true)) {
        Ok(file) if read(&file).is_some() => return Ok(()),
        Ok(_) => {}
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(error.into()),
    }
    let mut first = [0; 8];
    getrandom::fill(&mut first).map_err(|_| GenerationError::Random)?;
    Ok(files::replace(path, &(u64::from_le_bytes(first) & !1).to_le_bytes())?)
}

/// Reads the generation, at each request.
pub struct GenerationReader {
    path: PathBuf,
    open: ArcSwap<File>,
}

impl GenerationReader {
    /// Opens the file of a profile, which a [`Vault`](super::Vault) has made.
    pub fn open(path: &Path) -> Result<Self, GenerationError> {
        let file = open(path)?;
        Ok(Self { path: path.to_owned(), open: ArcSwap::from_pointee(file) })
    }

    /// The number now. Odd: a writer is at work, or died at it; see [`is_unsettled`].
    ///
    /// # Errors
    /// When the file is missing or short and cannot be opened anew.
    pub fn current(&self) -> Result<u64, GenerationError> {
        match read(&self.open.load()) {
            Some(number) => Ok(number),
            None => self.reopen(),
        }
    }

    /// Opens the file anew when another has taken its place: to be asked from time to time.
    ///
    /// # Errors
    /// When there is none any more.
    pub fn recheck(&self) -> Result<(), GenerationError> {
        let missing = |_| GenerationError::Missing(self.path.clone());
        let at_path = std::fs::symlink_metadata(&self.path).map_err(missing)?;
        let opened = self.open.load().metadata().map_err(files::io_error("examine", &self.path))?;
        if (at_path.dev(), at_path.ino()) == (opened.dev(), opened.ino()) {
            return Ok(());
        }
        self.reopen().map(drop)
    }

    fn reopen(&self) -> Result<u64, GenerationError> {
        let file = open(&self.path)?;
        let number = read(&file).ok_or_else(|| GenerationError::Missing(self.path.clone()))?;
        self.open.store(Arc::new(file));
        Ok(number)
    }
}

fn open(path: &Path) -> Result<File, GenerationError> {
    match files::open(path, OpenOptions::new().read(true)) {
        Ok(file) => Ok(file),
        Err(error) if error.is_missing() => Err(GenerationError::Missing(path.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// `None` when the file is shorter than a number.
fn read(file: &File) -> Option<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(u64::from_le_bytes(bytes))
}
