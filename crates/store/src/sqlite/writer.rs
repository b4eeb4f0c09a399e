//! The one thread that writes, and its group commit.

use super::statement_error;
use crate::{Change, Committed, Error, Migration};
use rusqlite::{Connection, params_from_iter};
use std::io;
use std::path::Path;
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

/// Changes that wait for the writer at most: 1,024 x ~8 KiB = 8 MiB. Whoever comes then waits for room.
const WAITING_MAX: usize = 1024;
/// Changes that share a commit at most; 256 x ~100 us of statements bounds what the first of them waits for the last.
const SHARING_MAX: usize = 256;

/// The writer thread of one file. Dropping it waits until the changes handed in are done.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    woken: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Change(Change, Option<oneshot::Sender<Result<Committed, Error>>>),
    Migrate(&'static str, &'static [Migration], oneshot::Sender<Result<(), Error>>),
}

/// A change that was done within the open transaction and waits for the commit.
struct Done {
    committed: Committed,
    wakes: bool,
    reply: Option<oneshot::Sender<Result<Committed, Error>>>,
}

impl Writer {
    pub(super) fn start(path: &Path, connection: Connection) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(WAITING_MAX);
        let (wake, woken) = watch::channel(0);
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let thread =
            thread::Builder::new().name(format!("write-{name}")).spawn(move || run(connection, queue, &wake))?;
        Ok(Writer { jobs: Some(jobs), woken, thread: Some(thread) })
    }

    pub(super) async fn migrate(&self, component: &'static str, migrations: &'static [Migration]) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Migrate(component, migrations, reply)).await?;
        answer.await.map_err(|_stopped| Error::Closed)?
    }

    pub(super) async fn commit(&self, change: Change) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Change(change, Some(reply))).await?;
        answer.await.map_err(|_stopped| Error::Closed)?
    }

    pub(super) fn submit(&self, change: Change) {
        let handed_in = self.jobs.as_ref().map(|jobs| jobs.try_send(Job::Change(change, None)));
        if !matches!(handed_in, Some(Ok(()))) {
            warn!("change dropped since the writer is busy");
        }
    }

    pub(super) fn woken(&self) -> watch::Receiver<u64> {
        self.woken.clone()
    }

    async fn send(&self, job: Job) -> Result<(), Error> {
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job).await.map_err(|_stopped| Error::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the writer thread panicked");
        }
    }
}

fn run(mut connection: Connection, mut queue: mpsc::Receiver<Job>, wake: &watch::Sender<u64>) {
    let mut next = queue.blocking_recv();
    while let Some(job) = next.take() {
        match job {
            Job::Migrate(component, migrations, reply) => {
                // A caller that no longer listens has lost the answer and nothing else.
                let _gone = reply.send(migrate(&mut connection, component, migrations));
            }
            Job::Change(change, reply) => next = share(&connection, &mut queue, (change, reply), wake),
        }
        if next.is_none() {
            next = queue.blocking_recv();
        }
    }
}

type Reply = Option<oneshot::Sender<Result<Committed, Error>>>;

/// Does the first change and those that wait behind it in one transaction. Returns a job that could not join.
fn share(
    connection: &Connection,
    queue: &mut mpsc::Receiver<Job>,
    first: (Change, Reply),
    wake: &watch::Sender<u64>,
) -> Option<Job> {
    let mut joining = Some(first);
    let mut left_over = None;
    let mut done: Vec<Done> = Vec::new();
    if let Err(source) = connection.execute_batch("BEGIN IMMEDIATE") {
        let (_, reply) = joining.take()?;
        answer(reply, Err(statement_error("BEGIN IMMEDIATE", source)));
        return None;
    }
    while let Some((change, reply)) = joining.take() {
        match apply(connection, &change) {
            Ok(committed) => done.push(Done { committed, wakes: change.wakes, reply }),
            Err(error) => answer(reply, Err(error)),
        }
        if connection.is_autocommit() {
            // A full disk makes SQLite roll back the whole transaction, and with it the members before this one.
            return refuse(done, "the transaction was rolled back by SQLite");
        }
        if done.len() < SHARING_MAX {
            match queue.try_recv() {
                Ok(Job::Change(change, reply)) => joining = Some((change, reply)),
                Ok(job) => left_over = Some(job),
                Err(_empty) => {}
            }
        }
    }
    match connection.execute_batch("COMMIT") {
        Ok(()) => settle(done, wake),
        Err(source) => {
            let complaint = source.to_string();
            if !connection.is_autocommit()
                && let Err(source) = connection.execute_batch("ROLLBACK")
            {
                error!(error = %source, "rollback failed");
            }
            refuse(done, &complaint);
        }
    }
    left_over
}

fn settle(done: Vec<Done>, wake: &watch::Sender<u64>) {
    if done.iter().any(|done| done.wakes) {
        wake.send_modify(|count| *count += 1);
    }
    for Done { committed, reply, .. } in done {
        answer(reply, Ok(committed));
    }
}

fn refuse(done: Vec<Done>, complaint: &str) -> Option<Job> {
    for Done { reply, .. } in done {
        answer(reply, Err(Error::Commit(complaint.into())));
    }
    None
}

fn answer(reply: Reply, result: Result<Committed, Error>) {
    match (reply, result) {
        // A caller that no longer listens has lost the answer and nothing else.
        (Some(reply), result) => drop(reply.send(result)),
        (None, Ok(_)) => {}
        (None, Err(error)) => warn!(error = %error, "submitted change failed"),
    }
}

/// Does one change in a savepoint, so that its failure leaves the others alone.
fn apply(connection: &Connection, change: &Change) -> Result<Committed, Error> {
    let control = |sql: &'static str| {
        connection.prepare_cached(sql).and_then(|mut it| it.execute([])).map_err(|e| statement_error(sql, e))
    };
    control("SAVEPOINT member")?;
    let result = execute(connection, change);
    if result.is_err() && !connection.is_autocommit() {
        control("ROLLBACK TO member")?;
    }
    if !connection.is_autocommit() {
        control("RELEASE member")?;
    }
    result
}

fn execute(connection: &Connection, change: &Change) -> Result<Committed, Error> {
    let mut rows = Vec::with_capacity(change.statements.len());
    for statement in &change.statements {
        let touched = connection
            .prepare_cached(statement.sql)
            .and_then(|mut prepared| prepared.execute(params_from_iter(&statement.parameters)))
            .map_err(|source| statement_error(statement.sql, source))?;
        match statement.expectation {
            Some(expected) if expected.rows != touched => return Err(Error::Conflict { what: expected.what }),
            _ => rows.push(touched),
        }
    }
    Ok(Committed { rows })
}

fn migrate(
    connection: &mut Connection,
    component: &'static str,
    migrations: &'static [Migration],
) -> Result<(), Error> {
    let table = "CREATE TABLE IF NOT EXISTS schema_migration (
        component TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (component, version))";
    connection.execute_batch(table).map_err(|source| statement_error(table, source))?;
    for migration in migrations {
        step(connection, component, migration).map_err(|source| Error::Migrate {
            component,
            version: migration.version,
            source: Box::new(source),
        })?;
    }
    Ok(())
}

fn step(connection: &mut Connection, component: &str, migration: &Migration) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let is_new = transaction.execute(
        "INSERT INTO schema_migration (component, version, name) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        (component, migration.version, migration.name),
    )? == 1;
    if is_new {
        transaction.execute_batch(migration.sql)?;
    }
    transaction.commit()
}
