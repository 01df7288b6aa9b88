//! What the program logs about itself, for the one who looks for a fault: a file that rotates, and standard error with
//! `--verbose`. It is no record of what happened: that is the audit log.
//!
//! Only our own messages are logged. A library that we use may know a header's value; its messages are left out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::config::Config;

/// What the names of our own crates begin with.
const OURS: &str = "authsome";
/// The variable that names a level: `error`, `warn`, `info`, `debug` or `trace`.
const VARIABLE: &str = "AUTHSOME_LOG";
/// The size at which the file is rotated.
const ROTATE_AT: u64 = 5 << 20;
/// How many rotated files are kept.
const KEPT: u32 = 3;

/// The log of this process. What is logged before [`open`](Self::open) goes to standard error alone.
///
/// It writes without a thread of its own: a process that starts a child takes its signals before it makes any thread.
pub(super) struct Log {
    file: LogFile,
}

/// Starts to log.
pub(super) fn start(config: &Config) -> Log {
    let level = config.environment.text(VARIABLE).and_then(|text| text.parse::<LevelFilter>().ok());
    let file = LogFile::default();
    let writer = file.clone();
    let to_file = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .with_filter(Targets::new().with_target(OURS, level.unwrap_or(LevelFilter::INFO)));
    let to_stderr = config.verbose.then(|| {
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(io::stderr)
            .with_filter(Targets::new().with_target(OURS, level.unwrap_or(LevelFilter::DEBUG)))
    });
    let subscriber = tracing_subscriber::registry().with(to_file).with(to_stderr);
    // A program that embeds us may have set its own.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Log { file }
}

impl Log {
    /// Opens the file, once it is certain that its folder is ours to write to.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub(super) fn open(&self, path: &Path) -> io::Result<()> {
        let file = RotatingFile::open(path)?;
        *self.file.lock() = Some(file);
        Ok(())
    }
}

/// Drops what is written until there is a file.
#[derive(Clone, Default)]
struct LogFile(Arc<Mutex<Option<RotatingFile>>>);

impl LogFile {
    fn lock(&self) -> MutexGuard<'_, Option<RotatingFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lock().as_mut().map_or(Ok(line.len()), |file| file.write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().as_mut().map_or(Ok(()), Write::flush)
    }
}

/// A file that becomes `<name>.1` when it is full, that `<name>.2`, and so on.
struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl RotatingFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let metadata = file.metadata()?;
        let size = if metadata.is_file() { metadata.len() } else { 0 };
        Ok(Self { path: path.to_owned(), file, size })
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            // Most often there is none of this number.
            let _ = fs::rename(self.rotated(number), self.rotated(number + 1));
        }
        fs::rename(&self.path, self.rotated(1))?;
        *self = Self::open(&self.path)?;
        Ok(())
    }

    fn rotated(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.size >= ROTATE_AT {
            self.rotate()?;
        }
        let written = self.file.write(line)?;
        self.size = self.size.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_rotated_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authsome.log");
        for round in 0..5 {
            fs::write(&path, format!("round {round}")).unwrap();
            let mut log = RotatingFile::open(&path).unwrap();
            log.size = ROTATE_AT;
            log.write_all(b"next").unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert_eq!(
            ["authsome.log", "authsome.log.1", "authsome.log.2", "authsome.log.3", "authsome.log.4"]
                .map(read),
            ["next", "round 4", "round 3", "round 2", ""]
        );
    }
}
