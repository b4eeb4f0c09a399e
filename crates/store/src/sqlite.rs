//! SQLite: one writer thread with group commit, and a few read connections.
//!
//! `synchronous=FULL` flushes the disk with each commit, which takes about a millisecond. Changes that arrive during a flush share the
//! next transaction, each in a savepoint of its own, so the price of a flush is split by as many as are waiting, and one that is alone
//! never waits for company.

mod reader;
mod writer;

use crate::error::Source;
use crate::{Change, Committed, Error, Migration, Row, Statement, Value};
use reader::Readers;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use writer::Writer;

/// The first version without the WAL-reset bug, which can corrupt a database (sqlite.org/wal.html#walresetbug).
const VERSION_MIN: i32 = 3_051_003;
/// How long a connection waits for a lock that another process holds (a backup, `verify`) before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection: more than any service has.
const STATEMENTS_CACHED: usize = 128;

/// How a SQLite file is used.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The database may take at most this many pages of 4 KiB; `None`: as many as the disk holds. For tests of a full disk.
    pub pages_max: Option<u32>,
}

/// One SQLite file. Clones share it.
#[derive(Debug, Clone)]
pub struct Sqlite {
    readers: Arc<Readers>,
    writer: Option<Arc<Writer>>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, config: &Config) -> Result<Self, Error> {
        if rusqlite::version_number() < VERSION_MIN {
            return Err(Error::Corrupting { version: rusqlite::version() });
        }
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        prepare_for_writing(&connection, config).map_err(|source| open_error(path, source))?;
        let writer = Writer::start(path, connection).map_err(|source| open_error(path, source))?;
        Ok(Sqlite { readers: Arc::new(Readers::new(path)), writer: Some(Arc::new(writer)) })
    }

    pub(crate) fn inspect(path: &Path) -> Result<Self, Error> {
        connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Sqlite { readers: Arc::new(Readers::new(path)), writer: None })
    }

    pub(crate) async fn migrate(&self, component: &'static str, migrations: &'static [Migration]) -> Result<(), Error> {
        self.writer()?.migrate(component, migrations).await
    }

    pub(crate) async fn commit(&self, change: Change) -> Result<Committed, Error> {
        self.writer()?.commit(change).await
    }

    pub(crate) fn submit(&self, change: Change) -> bool {
        self.writer().is_ok_and(|writer| writer.submit(change))
    }

    pub(crate) async fn snapshot(&self, queries: Vec<Statement>) -> Result<Vec<Vec<Row>>, Error> {
        self.readers.snapshot(queries).await
    }

    pub(crate) fn woken(&self) -> watch::Receiver<u64> {
        match &self.writer {
            Some(writer) => writer.woken(),
            None => watch::channel(0).1,
        }
    }

    pub(crate) fn durability(&self) -> String {
        format!("SQLite {}, WAL, synchronous=FULL", rusqlite::version())
    }

    fn writer(&self) -> Result<&Writer, Error> {
        self.writer.as_deref().ok_or(Error::Closed)
    }
}

fn open_error(path: &Path, source: impl Into<Source>) -> Error {
    Error::Open { path: path.to_owned(), source: source.into() }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|source| open_error(path, source))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|source| open_error(path, source))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(connection)
}

fn prepare_for_writing(connection: &Connection, config: &Config) -> Result<(), Source> {
    // SQLite answers with the mode that is in force, and does not fail when it could not change it.
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(format!("the journal mode is {mode} and cannot be WAL").into());
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    if let Some(pages) = config.pages_max {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn statement_error(sql: &'static str, source: rusqlite::Error) -> Error {
    Error::Statement { sql, is_transient: is_transient(&source), source: Box::new(source) }
}

/// Whether the cause lies outside the program and may go away: a lock, a full or failing disk.
fn is_transient(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OperationInterrupted,
        OutOfMemory, ReadOnly, SystemIoFailure,
    };
    matches!(
        error.sqlite_error_code(),
        Some(
            CannotOpen
                | DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | FileLockingProtocolFailed
                | OperationInterrupted
                | OutOfMemory
                | ReadOnly
                | SystemIoFailure
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pragma(connection: &Connection, name: &str) -> rusqlite::types::Value {
        connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_commit_of_the_writer_is_flushed_to_a_write_ahead_log() {
        let directory = tempfile::tempdir().unwrap();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = connect(&directory.path().join("store.db"), flags).unwrap();

        prepare_for_writing(&connection, &Config::default()).unwrap();

        assert_eq!(pragma(&connection, "journal_mode"), "wal".to_owned().into());
        assert_eq!(pragma(&connection, "synchronous"), 2.into());
        assert_eq!(pragma(&connection, "foreign_keys"), 1.into());
    }

    #[test]
    fn the_bundled_version_cannot_corrupt_its_log() {
        assert!(rusqlite::version_number() >= VERSION_MIN, "{}", rusqlite::version());
    }
}
