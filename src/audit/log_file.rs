//! `audit.log` itself: appended whole lines, rotated, never deleted.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use serde_json::Value;

use super::AuditError;
use crate::home::Home;
use crate::home::files::{self, io_error};

/// How much is read at a time from the end.
const CHUNK: u64 = 64 << 10;

/// The log, open for appending.
pub(super) struct LogFile {
    home: Home,
    path: PathBuf,
    rotate_at: u64,
    file: File,
}

impl LogFile {
    pub(super) fn open(home: &Home, rotate_at: u64) -> Result<Self, AuditError> {
        let path = home.audit_log();
        let file = open_whole(&path)?;
        Ok(Self { home: home.clone(), path, rotate_at, file })
    }

    /// Writes whole lines in one go. On an error, `lines` keeps what was not written, from the
    /// start of a line: a line that was torn is written once more, after an end of the torn one.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> Result<(), AuditError> {
        self.refresh(lines.len())?;
        while !lines.is_empty() {
            let outcome = self.file.write(lines);
            let written = *outcome.as_ref().unwrap_or(&0);
            if written < lines.len() {
                keep_from_line(lines, written);
                outcome.map_err(io_error("write", &self.path))?;
                if written == 0 {
                    return Err(io_error("write", &self.path)(std::io::ErrorKind::WriteZero.into()).into());
                }
            } else {
                lines.clear();
            }
        }
        Ok(())
    }

    /// Waits until what was written is on disk.
    pub(super) fn sync(&self) -> Result<(), AuditError> {
        Ok(self.file.sync_data().map_err(io_error("sync", &self.path))?)
    }

    /// Follows a log that another process rotated; rotates one that is full.
    fn refresh(&mut self, coming: usize) -> Result<(), AuditError> {
        if self.was_replaced() {
            self.file = open_whole(&self.path)?;
        }
        if self.is_full(coming)? {
            let _lock = self.home.lock().map_err(|error| AuditError::Home(Box::new(error)))?;
            if !self.was_replaced() {
                self.sync()?;
                let rotated = self.home.root().join(format!("audit.log.{}", last_number(&self.home)? + 1));
                fs::rename(&self.path, &rotated).map_err(io_error("rotate", &self.path))?;
            }
            self.file = open_whole(&self.path)?;
        }
        Ok(())
    }

    fn is_full(&self, coming: usize) -> Result<bool, AuditError> {
        let size = self.file.metadata().map_err(io_error("examine", &self.path))?.len();
        Ok(size > 0 && size.saturating_add(coming as u64) > self.rotate_at)
    }

    fn was_replaced(&self) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match (fs::symlink_metadata(&self.path), self.file.metadata()) {
            (Ok(at_path), Ok(opened)) => identity(at_path) != identity(opened),
            _ => true,
        }
    }
}

/// Opens the log; ends a line that a crash has left without its end.
fn open_whole(path: &std::path::Path) -> Result<File, AuditError> {
    let file = files::open_or_create(path, OpenOptions::new().append(true).read(true))?;
    let size = file.metadata().map_err(io_error("examine", path))?.len();
    let mut last = [b'\n'];
    if size > 0 {
        file.read_exact_at(&mut last, size - 1).map_err(io_error("read", path))?;
    }
    if last != [b'\n'] {
        (&file).write_all(b"\n").map_err(io_error("write", path))?;
    }
    Ok(file)
}

/// Drops the lines that were written whole.
fn keep_from_line(lines: &mut Vec<u8>, written: usize) {
    let whole = lines[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    lines.drain(..whole);
    if whole < written {
        lines.insert(0, b'\n');
    }
}

fn last_number(home: &Home) -> Result<u64, AuditError> {
    Ok(rotated_numbers(home)?.into_iter().max().unwrap_or(0))
}

fn rotated_numbers(home: &Home) -> Result<Vec<u64>, AuditError> {
    let entries = fs::read_dir(home.root()).map_err(io_error("list", home.root()))?;
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("audit.log.")?.parse().ok();
    let mut numbers: Vec<u64> = entries.filter_map(|entry| number(entry.ok()?)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The last events, oldest first, reaching into rotated logs as far as needed. Torn lines are left out.
pub(super) fn last(home: &Home, count: usize) -> Result<Vec<Value>, AuditError> {
    let mut paths = vec![home.audit_log()];
    paths.extend(
        rotated_numbers(home)?.iter().rev().map(|number| home.root().join(format!("audit.log.{number}"))),
    );
    let mut events = VecDeque::new();
    for path in paths {
        match files::open(&path, OpenOptions::new().read(true)) {
            Ok(file) => collect(&file, count, &mut events).map_err(io_error("read", &path))?,
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
        if events.len() >= count {
            break;
        }
    }
    Ok(events.into())
}

/// Puts the file's events before those that are there, its last first, until there are enough.
fn collect(file: &File, count: usize, events: &mut VecDeque<Value>) -> std::io::Result<()> {
    let mut position = file.metadata()?.len();
    let mut pending = Vec::new();
    while position > 0 && events.len() < count {
        let size = position.min(CHUNK);
        position -= size;
        let mut chunk = vec![0; usize::try_from(size).unwrap_or(0)];
        file.read_exact_at(&mut chunk, position)?;
        chunk.append(&mut pending);
        // The first line may begin before this chunk.
        let start = match position {
            0 => 0,
            _ => chunk.iter().position(|byte| *byte == b'\n').map_or(chunk.len(), |end| end + 1),
        };
        for line in chunk[start..].split(|byte| *byte == b'\n').rev() {
            if let Ok(event) = serde_json::from_slice(line)
                && events.len() < count
            {
                events.push_front(event);
            }
        }
        chunk.truncate(start);
        pending = chunk;
    }
    Ok(())
}
