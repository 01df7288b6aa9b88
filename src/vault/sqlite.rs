//! The store of one profile in SQLite: WAL, every commit synced, deleted bytes overwritten.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};

use super::backend::{Backend, BackendError, Stored, Write};
use crate::home::files::{self, FileError};

/// How long another process's transaction is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// `PRAGMA application_id` of our stores: "ausm".
const APPLICATION: i32 = 0x6175_736d;

const FORMAT: u32 = crate::home::FORMAT;

const SCHEMA: &str = "
    CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('sequence', 0);
";

/// A store file. Several may be open on one file, in one process or many.
pub struct SqliteBackend {
    path: PathBuf,
    /// Empty after a failure of the disk: what SQLite holds in memory is not trusted then.
    connection: Mutex<Option<Connection>>,
}

impl SqliteBackend {
    /// Opens the store, creating it with mode 0600 when there is none.
    ///
    /// # Errors
    /// When it is damaged, too new, another program's, no regular file of ours, locked or unreadable.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        let connection = connect_patiently(path)?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(Some(connection)) })
    }

    /// Reads every page and compares the indices with their tables.
    pub fn check(&self) -> Result<(), BackendError> {
        self.with(|connection| check_pages(connection, "integrity_check"))
    }

    fn with<T>(
        &self,
        action: impl FnOnce(&mut Connection) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let mut slot: MutexGuard<'_, Option<Connection>> =
            self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => connect_patiently(&self.path)?,
        };
        let outcome = action(&mut connection);
        if !matches!(outcome, Err(BackendError::Failed(_) | BackendError::Corrupt(_))) {
            *slot = Some(connection);
        }
        outcome
    }
}

impl Backend for SqliteBackend {
    fn get(&self, key: &str) -> Result<Option<Stored>, BackendError> {
        self.with(|connection| {
            let mut query = connection.prepare_cached("SELECT value, version FROM kv WHERE key = ?1")?;
            Ok(query.query_row([key], |row| stored(row, 0)).optional()?)
        })
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Stored)>, BackendError> {
        self.with(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT key, value, version FROM kv WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1 ORDER BY key",
            )?;
            let rows = query.query_map([prefix], |row| Ok((row.get(0)?, stored(row, 1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn commit(&self, writes: &[Write], meta: Option<(&str, &[u8])>) -> Result<i64, BackendError> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let version = next_version(&transaction)?;
            for write in writes {
                apply_one(&transaction, write, version)?;
            }
            if let Some((name, value)) = meta {
                transaction.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![name, value])?;
            }
            transaction.commit()?;
            if meta.is_some() || writes.iter().any(|write| write.value.is_none()) {
                forget_deleted(connection);
            }
            Ok(version)
        })
    }

    fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        self.with(|connection| Ok(read_meta(connection, name)?))
    }

    fn found_meta(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, BackendError> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute("INSERT OR IGNORE INTO meta VALUES (?1, ?2)", params![name, value])?;
            let present = read_meta(&transaction, name)?.unwrap_or_default();
            transaction.commit()?;
            Ok(present)
        })
    }
}

/// Several processes that lay out one new store, or switch it to its journal, get "locked" at once
/// where SQLite sees that waiting would not end.
fn connect_patiently(path: &Path) -> Result<Connection, BackendError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match connect(path) {
            Err(BackendError::Locked(_)) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
}

fn connect(path: &Path) -> Result<Connection, BackendError> {
    ensure_file(path)?;
    // SQLite refuses a link anywhere in the path: only the store itself must be none.
    let folder = path.parent().unwrap_or(path);
    let folder = fs::canonicalize(folder).map_err(|error| BackendError::Unreachable(error.into()))?;
    let path = path.file_name().map_or_else(|| folder.clone(), |name| folder.join(name));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut connection = Connection::open_with_flags(&path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA secure_delete = ON;
         PRAGMA synchronous = FULL;",
    )?;
    recognise(&mut connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(BackendError::Unreachable(
            format!("the file system offers only journal mode {mode}").into(),
        ));
    }
    Ok(connection)
}

/// Makes sure that there is a file of ours that can be written, before SQLite opens it by name.
fn ensure_file(path: &Path) -> Result<(), BackendError> {
    let opened = match files::open(path, OpenOptions::new().read(true).write(true)) {
        Err(error) if error.is_missing() => files::create(path, b"").map(drop),
        opened => opened.map(drop),
    };
    opened.map_err(|error| match error {
        FileError::Io { ref source, .. } => match source.kind() {
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                BackendError::ReadOnly(error.into())
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BackendError::Full(error.into()),
            _ => BackendError::Unreachable(error.into()),
        },
        other => BackendError::Unreachable(other.into()),
    })
}

/// Tells our store from another's; lays out an empty one.
fn recognise(connection: &mut Connection) -> Result<(), BackendError> {
    if format_of(connection)?.is_some() {
        return check_pages(connection, "quick_check");
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if format_of(&transaction)?.is_none() {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.execute("INSERT INTO meta VALUES ('format', ?1)", [FORMAT])?;
    }
    Ok(transaction.commit()?)
}

/// The format of our store; `None` when the file is empty.
fn format_of(connection: &Connection) -> Result<Option<u32>, BackendError> {
    let number = |name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0));
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(None);
    }
    if number("application_id")? != APPLICATION {
        return Err(BackendError::Foreign);
    }
    let found = u32::try_from(number("user_version")?).unwrap_or(u32::MAX);
    match found {
        FORMAT => Ok(Some(found)),
        _ if found > FORMAT => Err(BackendError::TooNew { found, known: FORMAT }),
        _ => Err(BackendError::Foreign),
    }
}

/// Has SQLite examine the pages of a store.
pub(super) fn check_pages(connection: &Connection, pragma: &str) -> Result<(), BackendError> {
    let verdict: String = connection.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(BackendError::Corrupt(verdict.into())) }
}

fn next_version(transaction: &Transaction<'_>) -> Result<i64, BackendError> {
    let mut statement = transaction
        .prepare_cached("UPDATE meta SET value = value + 1 WHERE name = 'sequence' RETURNING value")?;
    let sequence = statement.query_row([], |row| row.get(0)).optional()?;
    sequence.ok_or_else(|| BackendError::Corrupt("the sequence of versions is missing".into()))
}

fn apply_one(transaction: &Transaction<'_>, write: &Write, version: i64) -> Result<(), BackendError> {
    let present: Option<i64> = transaction
        .prepare_cached("SELECT version FROM kv WHERE key = ?1")?
        .query_row([&write.key], |row| row.get(0))
        .optional()?;
    if !write.expected.admits(present) {
        return Err(BackendError::Conflict(write.key.clone()));
    }
    match &write.value {
        Some(value) => transaction
            .prepare_cached("INSERT OR REPLACE INTO kv (key, value, version) VALUES (?1, ?2, ?3)")?
            .execute(params![write.key, value, version])?,
        None => transaction.prepare_cached("DELETE FROM kv WHERE key = ?1")?.execute([&write.key])?,
    };
    Ok(())
}

/// Moves the overwritten pages into the file and empties the log. A reader may stand in the way;
/// then the next one to close the store does it.
fn forget_deleted(connection: &Connection) {
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    if let Err(error) = checkpoint {
        tracing::debug!(%error, "the store's log was not emptied");
    }
}

fn read_meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT CAST(value AS BLOB) FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn stored(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Stored> {
    Ok(Stored { value: row.get(first)?, version: row.get(first + 1)? })
}

/// `SQLITE_IOERR_SHMSIZE` (sqlite.org/rescode.html).
const IOERR_SHMSIZE: i32 = 4874;

impl From<rusqlite::Error> for BackendError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(code) = error.sqlite_error_code() else {
            return Self::Corrupt(error.into());
        };
        // The shared memory beside the store could not grow: nothing else makes it fail.
        let no_room = error.sqlite_error().is_some_and(|error| error.extended_code == IOERR_SHMSIZE);
        match code {
            _ if no_room => Self::Full(error.into()),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked(error.into()),
            ErrorCode::ReadOnly => Self::ReadOnly(error.into()),
            ErrorCode::DiskFull => Self::Full(error.into()),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt(error.into()),
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Self::Unreachable(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}
