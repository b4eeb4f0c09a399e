//! Read connections, which see the last commit and never wait for the writer.

use super::{connect, statement_error};
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
    permits: Semaphore,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Readers { path: path.to_owned(), permits: Semaphore::new(READERS_MAX), idle: Arc::default() }
    }

    pub(super) async fn snapshot(&self, queries: Vec<Statement>) -> Result<Vec<Vec<Row>>, Error> {
        let _permit = self.permits.acquire().await.map_err(|_closed| Error::Closed)?;
        let (path, idle) = (self.path.clone(), self.idle.clone());
        // The connection goes back inside the closure, so that a caller who does not wait for the end does not lose it.
        let reading = spawn_blocking(move || {
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
        rows.push(Row(values?));
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
