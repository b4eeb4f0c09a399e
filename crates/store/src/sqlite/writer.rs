//! The one thread that writes, and its group commit.

use super::statement_error;
use crate::queue::{EndWithThePanic, Member, WAITING_MAX, settle};
use crate::{Change, Committed, Error, Migration};
use rusqlite::{Connection, ErrorCode, params_from_iter};
use std::io;
use std::iter;
use std::path::Path;
use std::process;
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::error;

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
    Change(Member),
    Migrate(&'static str, &'static [Migration], oneshot::Sender<Result<(), Error>>),
}

impl Writer {
    pub(super) fn start(path: &Path, connection: Connection) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(WAITING_MAX);
        let (wake, woken) = watch::channel(0);
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let thread = thread::Builder::new().name(format!("write-{name}")).spawn(move || {
            let _end = EndWithThePanic;
            run(connection, queue, &wake);
        })?;
        Ok(Writer { jobs: Some(jobs), woken, thread: Some(thread) })
    }

    pub(super) async fn migrate(&self, component: &'static str, migrations: &'static [Migration]) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Migrate(component, migrations, reply)).await?;
        answer.await.map_err(|_stopped| Error::Closed)?
    }

    pub(super) async fn commit(&self, change: Change) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Change(Member { change, reply: Some(reply) })).await?;
        answer.await.map_err(|_stopped| Error::Closed)?
    }

    pub(super) fn submit(&self, change: Change) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(Job::Change(Member { change, reply: None })).is_ok())
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
            Job::Change(first) => next = share(&connection, &mut queue, first, wake),
        }
        if next.is_none() {
            next = queue.blocking_recv();
        }
    }
}

/// Does the first change and those that wait behind it in one transaction. Returns a job that could not join.
fn share(
    connection: &Connection,
    queue: &mut mpsc::Receiver<Job>,
    first: Member,
    wake: &watch::Sender<u64>,
) -> Option<Job> {
    let (mut first, mut left_over) = (Some(first), None);
    let next = || {
        first.take().or_else(|| match queue.try_recv() {
            Ok(Job::Change(member)) => Some(member),
            Ok(job) => {
                left_over = Some(job);
                None
            }
            Err(_empty) => None,
        })
    };
    let mut undone = together(connection, iter::from_fn(next).take(SHARING_MAX), wake);
    // Ends, since each round answers at least one of them.
    while !undone.is_empty() {
        undone = together(connection, undone.into_iter(), wake);
    }
    left_over
}

/// Does changes in one transaction and answers them. Returns those that were undone, or not begun, by another one's fault.
fn together(
    connection: &Connection,
    mut members: impl Iterator<Item = Member>,
    wake: &watch::Sender<u64>,
) -> Vec<Member> {
    if let Err(source) = connection.execute_batch("BEGIN IMMEDIATE") {
        if let Some(first) = members.next() {
            first.answer(Err(statement_error("BEGIN IMMEDIATE", source)));
        }
        return members.collect();
    }
    // Answered only after the commit: whoever hears of a conflict reads again, and must find there what it lost against.
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    while let Some(member) = members.next() {
        match apply(connection, &member.change) {
            Ok(committed) => done.push((member, committed)),
            Err(error) if connection.is_autocommit() => {
                // A full disk makes SQLite roll back the whole transaction, and with it the changes before this one.
                member.answer(Err(error));
                let begun =
                    done.into_iter().map(|(member, _)| member).chain(refused.into_iter().map(|(member, _)| member));
                return begun.chain(members).collect();
            }
            Err(error) => refused.push((member, error)),
        }
    }
    match connection.execute_batch("COMMIT") {
        Ok(()) => {
            settle(done, wake);
            refused.into_iter().for_each(|(member, error)| member.answer(Err(error)));
        }
        Err(source) => {
            if source.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
                // After a failed flush nobody knows what is on the disk; only what a restart reads from it is true.
                error!(error = %source, "the disk failed a commit; the process ends");
                process::abort();
            }
            rollback(connection);
            let complaint = source.to_string();
            let begun = done.into_iter().map(|(member, _)| member).chain(refused.into_iter().map(|(member, _)| member));
            for member in begun {
                member.answer(Err(Error::Commit(complaint.as_str().into())));
            }
        }
    }
    Vec::new()
}

/// Does one change in a savepoint, so that its failure leaves the others alone. Where even the savepoint fails, the whole transaction is
/// rolled back, so that half a change is never committed.
fn apply(connection: &Connection, change: &Change) -> Result<Committed, Error> {
    let control = |sql: &'static str| {
        connection.prepare_cached(sql).and_then(|mut it| it.execute([])).map_err(|source| {
            rollback(connection);
            statement_error(sql, source)
        })
    };
    control("SAVEPOINT member")?;
    let result = execute(connection, change);
    if connection.is_autocommit() {
        return result;
    }
    if result.is_err() {
        control("ROLLBACK TO member")?;
    }
    control("RELEASE member")?;
    result
}

fn rollback(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(source) = connection.execute_batch("ROLLBACK")
    {
        error!(error = &source as &dyn std::error::Error, "rollback failed");
    }
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
        transaction.execute_batch(migration.sqlite)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Statement;

    fn job(sql: &'static str) -> Job {
        let mut change = Change::new();
        change.push(Statement::new(sql));
        Job::Change(Member { change, reply: None })
    }

    /// Lets one transaction take what it can of so many jobs. Returns how many are left in the queue, and what could not join.
    fn left_after_one_transaction(waiting: Vec<Job>) -> (usize, Option<Job>) {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE item (number INTEGER)").unwrap();
        let (jobs, mut queue) = mpsc::channel(WAITING_MAX);
        for job in waiting {
            assert!(jobs.try_send(job).is_ok());
        }
        let Ok(Job::Change(first)) = queue.try_recv() else { panic!("the first job is a change") };
        let left_over = share(&connection, &mut queue, first, &watch::Sender::new(0));
        assert!(connection.is_autocommit());
        (queue.len(), left_over)
    }

    #[test]
    fn a_transaction_takes_a_bounded_number_of_changes() {
        let good = (0..WAITING_MAX).map(|_| job("INSERT INTO item VALUES (1)")).collect();

        assert_eq!(left_after_one_transaction(good).0, WAITING_MAX - SHARING_MAX);
    }

    #[test]
    fn changes_that_fail_count_too_so_that_an_unbroken_run_of_them_does_not_hold_up_a_good_one() {
        let bad = (0..WAITING_MAX).map(|_| job("INSERT INTO nowhere VALUES (1)")).collect();

        assert_eq!(left_after_one_transaction(bad).0, WAITING_MAX - SHARING_MAX);
    }

    #[test]
    fn a_job_that_cannot_join_ends_the_transaction_and_is_not_lost() {
        let (reply, _answer) = oneshot::channel();
        let good = || job("INSERT INTO item VALUES (1)");

        let (left, left_over) = left_after_one_transaction(vec![good(), Job::Migrate("one", &[], reply), good()]);

        assert_eq!(left, 1);
        assert!(matches!(left_over, Some(Job::Migrate("one", ..))));
    }
}
