//! Lines that read.

use super::connection::{Connection, Purpose, answer};
use super::target::Target;
use crate::{Error, Row, Statement};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a read may take, beyond what the server itself allows a statement: a line that swallows answers is noticed by this.
const READ_WITHIN: Duration = Duration::from_secs(15);

/// A pool of lines.
#[derive(Debug)]
pub(super) struct Readers {
    target: Arc<Target>,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(target: Arc<Target>, lines: usize) -> Self {
        Readers { target, permits: Semaphore::new(lines), idle: Mutex::default() }
    }

    /// Keeps a line for the next who reads.
    pub(super) fn keep(&self, line: Connection) {
        if !line.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// Reads the rows of all queries as of one moment.
    pub(super) async fn snapshot(&self, queries: &[Statement]) -> Result<Vec<Vec<Row>>, Error> {
        let _permit = self.permits.acquire().await.map_err(|_closed| Error::Closed)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(line) = idle {
            let mut line = Borrowed { line: Some(line), pool: self };
            match read_in_time(&mut line, queries).await {
                // The line was lost while it was idle, with a server that has been restarted, say.
                Err(error) if error.is_transient() => line.throw_away(),
                done => return done,
            }
        }
        let line = Connection::open(&self.target, Purpose::Read).await?;
        let mut line = Borrowed { line: Some(line), pool: self };
        let done = read_in_time(&mut line, queries).await;
        if done.as_ref().is_err_and(Error::is_transient) {
            line.throw_away();
        }
        done
    }
}

/// A line that goes back into the pool however its use ends: what is on its way over it is complete by itself.
struct Borrowed<'a> {
    line: Option<Connection>,
    pool: &'a Readers,
}

impl Borrowed<'_> {
    fn throw_away(&mut self) {
        self.line = None;
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            self.pool.keep(line);
        }
    }
}

async fn read_in_time(line: &mut Borrowed<'_>, queries: &[Statement]) -> Result<Vec<Vec<Row>>, Error> {
    let Some(line) = &mut line.line else { return Err(Error::Closed) };
    match timeout(READ_WITHIN, read(line, queries)).await {
        Ok(done) => done,
        Err(_elapsed) => Err(Error::Statement {
            sql: queries.first().map_or("", |query| query.sql),
            is_transient: true,
            source: format!("no answer within {READ_WITHIN:?}").into(),
        }),
    }
}

/// Cancel safe: from the first request on everything is sent without a pause, up to the end of the transaction.
async fn read(line: &mut Connection, queries: &[Statement]) -> Result<Vec<Vec<Row>>, Error> {
    for query in queries {
        line.prepare(query).await?;
    }
    if let [query] = queries {
        return Ok(vec![answer(line.query(query).await).await?]);
    }
    let begun = line.say("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
    let mut sent = Vec::with_capacity(queries.len());
    for query in queries {
        sent.push(line.query(query).await);
    }
    let ended = line.say("COMMIT").await;
    answer(begun).await?;
    let mut results = Vec::with_capacity(queries.len());
    for query in sent {
        results.push(answer(query).await?);
    }
    answer(ended).await?;
    Ok(results)
}
