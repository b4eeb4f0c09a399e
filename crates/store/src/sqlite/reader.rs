//! Read connections, which see the last commit and never wait for the writer.

use super::{connect, statement_error};
use crate::value::Columns;
use crate::{Error, Row, Statement, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Reads at once: reads are CPU work of some ten microseconds, and more than the cores can do would only queue elsewhere.
const READERS_MAX: usize = 4;

/// A pool of read connections to one file.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Readers { path: path.to_owned(), permits: Arc::new(Semaphore::new(READERS_MAX)), idle: Arc::default() }
    }

    pub(super) async fn snapshot(&self, queries: Vec<Statement>) -> Result<Vec<Vec<Row>>, Error> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_closed| Error::Closed)?;
        let (path, idle) = (self.path.clone(), self.idle.clone());
        // Connection and permit go back inside the closure, so that a caller who does not wait for the end neither loses the one nor
        // frees the other too early.
        let reading = spawn_blocking(move || {
            let _permit = permit;
            let pooled = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match pooled {
                Some(connection) => connection,
                None => connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            };
            let result = read(&connection, &queries);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result
        });
        reading.await.map_err(|_stopped| Error::Closed)?
    }
}

fn read(connection: &Connection, queries: &[Statement]) -> Result<Vec<Vec<Row>>, Error> {
    match queries {
        [query] => Ok(vec![rows(connection, query)?]),
        queries => {
            let begin = "BEGIN";
            let snapshot = connection.unchecked_transaction().map_err(|source| statement_error(begin, source))?;
            queries.iter().map(|query| rows(&snapshot, query)).collect()
        }
    }
}

fn rows(connection: &Connection, query: &Statement) -> Result<Vec<Row>, Error> {
    let failed = |source| statement_error(query.sql, source);
    let mut statement = connection.prepare_cached(query.sql).map_err(failed)?;
    let columns = statement.column_count();
    let mut cursor = statement.query(params_from_iter(&query.parameters)).map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(row) = cursor.next().map_err(failed)? {
        let values: Result<Vec<Value>, Error> =
            (0..columns).map(|column| value(column, row.get_ref(column).map_err(failed)?)).collect();
        rows.push(Row(Columns::Values(values?)));
    }
    Ok(rows)
}

fn value(column: usize, value: ValueRef<'_>) -> Result<Value, Error> {
    let not = |expected| Error::Column { column, expected };
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(value) => Ok(Value::Integer(value)),
        ValueRef::Real(_) => Err(not("a whole number")),
        ValueRef::Text(text) => String::from_utf8(text.to_vec()).map(Value::Text).map_err(|_invalid| not("UTF-8")),
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn abandoned_reads_do_not_multiply_the_connections() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).unwrap();
        let readers = Readers::new(&path);
        let slow =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT max(i) FROM n";

        for _ in 0..50 {
            drop(readers.permits.acquire().await.unwrap());
            tokio::select! {
                biased;
                _ = readers.snapshot(vec![Statement::new(slow)]) => {}
                () = yield_now() => {}
            }
        }
        while Arc::strong_count(&readers.idle) > 1 {
            yield_now().await;
        }

        let connections = readers.idle.lock().unwrap().len();
        assert!((1..=READERS_MAX).contains(&connections), "{connections} connections");
    }
}
