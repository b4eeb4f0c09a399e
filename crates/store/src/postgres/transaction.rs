//! One transaction for many changes.
//!
//! All statements of all changes are sent at once and their answers looked at afterwards, so that a transaction costs two round trips,
//! however many share it; equal inserts are sent as one. There are no savepoints, each of which would cost the server as much as a
//! statement: a change that fails undoes the transaction, and the others are done again without it.

use super::connection::{Connection, answer, is_everybodys};
use super::parts::{Inserts, plan, spread};
use crate::queue::Member;
use crate::{Change, Committed, Error, Row, Statement};
use futures_util::future::Either;
use std::time::Duration;
use tokio::time::timeout;

/// How long the statements of a transaction may take, and then its commit: more than the server allows one statement.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What came of a transaction.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Everything was written.
    Committed(Vec<Committed>),
    /// Nothing was written, because of these of the changes. The line is fit for the next transaction.
    Refused(Vec<(usize, Error)>),
    /// Nothing was written, and the line is of no use any more.
    Lost(Error),
    /// The commit failed, mostly with the line. The server knows the outcome by the id of the transaction.
    Unknown { id: String, done: Vec<Committed>, why: Error },
}

/// Does changes together.
pub(super) async fn run(line: &mut Connection, members: &[Member]) -> Outcome {
    match attempt(line, members, Inserts::Joined).await {
        Some(outcome) => outcome,
        None => attempt(line, members, Inserts::Apart).await.unwrap_or(Outcome::Lost(Error::Closed)),
    }
}

/// Does changes together; `None`, and nothing is written, when it cannot be told which of them are refused.
async fn attempt(line: &mut Connection, members: &[Member], inserts: Inserts) -> Option<Outcome> {
    let answers = match timeout(ANSWER_WITHIN, apply(line, members, inserts)).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(outcome)) => return Some(outcome),
        Err(_elapsed) => return Some(Outcome::Lost(unanswered("BEGIN"))),
    };
    match answers.touched.map_or(Verdict::Untold, |touched| judge(members, touched)) {
        Verdict::Fit(done) => Some(commit(line, answers.id, done).await),
        Verdict::Unfit(refused) => Some(undo(line).await.map_or_else(Outcome::Lost, |()| Outcome::Refused(refused))),
        Verdict::Untold => undo(line).await.err().map(Outcome::Lost),
    }
}

async fn undo(line: &Connection) -> Result<(), Error> {
    match timeout(ANSWER_WITHIN, answer(line.say("ROLLBACK").await)).await {
        Ok(undone) => undone,
        Err(_elapsed) => Err(unanswered("ROLLBACK")),
    }
}

/// What the server said to a transaction that is not committed yet.
struct Answers {
    id: String,
    /// Rows touched by each statement of each change; `None`: statements that were joined did less than they had to, or failed.
    touched: Option<Vec<Vec<Result<u64, Error>>>>,
}

async fn apply(line: &mut Connection, members: &[Member], inserts: Inserts) -> Result<Answers, Outcome> {
    // The id tells afterwards whether the transaction was committed, should the line be lost meanwhile.
    let identify = Statement::new("SELECT pg_current_xact_id()::TEXT");
    line.prepare(&identify).await.map_err(Outcome::Lost)?;
    let parts = plan(members, inserts);
    for part in &parts {
        let first = part.statements[0];
        let prepared = if part.is_joined() { line.prepare_joined(first).await } else { line.prepare(first).await };
        if let Err(error) = prepared {
            let is_lost = line.is_closed() || is_everybodys(&error);
            return Err(if is_lost { Outcome::Lost(error) } else { Outcome::Refused(vec![(part.member(), error)]) });
        }
    }
    let begun = line.say("BEGIN").await;
    let identified = line.query(&identify).await;
    let mut sent = Vec::with_capacity(parts.len());
    for part in &parts {
        sent.push(match part.is_joined() {
            true => Either::Left(line.execute_joined(&part.statements).await),
            false => Either::Right(line.execute(part.statements[0]).await),
        });
    }
    answer(begun).await.map_err(Outcome::Lost)?;
    let mut identified: Vec<Row> = answer(identified).await.map_err(Outcome::Lost)?;
    let id = identified.first_mut().ok_or(Error::Closed).and_then(|row| row.take(0)).map_err(Outcome::Lost)?;
    let mut touched = Vec::with_capacity(sent.len());
    for statement in sent {
        touched.push(match statement {
            Either::Left(joined) => answer(joined).await,
            Either::Right(single) => answer(single).await,
        });
    }
    if line.is_closed() {
        return Err(Outcome::Lost(Error::Closed));
    }
    if let Some(hopeless) = touched.iter().position(|rows| rows.as_ref().is_err_and(is_everybodys)) {
        return Err(Outcome::Lost(touched.swap_remove(hopeless).err().unwrap_or(Error::Closed)));
    }
    Ok(Answers { id, touched: spread(members, &parts, touched) })
}

enum Verdict {
    Fit(Vec<Committed>),
    Unfit(Vec<(usize, Error)>),
    /// Statements of several changes were sent as one, and not all of them did what they had to.
    Untold,
}

/// Whether all changes did what they had to; if not, which did not. After a statement that failed the server answers nothing more, so of
/// what follows nothing is known.
fn judge(members: &[Member], touched: Vec<Vec<Result<u64, Error>>>) -> Verdict {
    let (mut done, mut refused) = (Vec::with_capacity(members.len()), Vec::new());
    for (index, (member, answers)) in members.iter().zip(touched).enumerate() {
        let (result, failure) = judge_one(&member.change, answers);
        let is_aborted = failure.is_some();
        match (result, failure) {
            // What was not expected came before what failed, and may have been the reason.
            (Err(conflict), _) => refused.push((index, conflict)),
            (Ok(_), Some(error)) => refused.push((index, error)),
            (Ok(committed), None) => done.push(committed),
        }
        if is_aborted {
            break;
        }
    }
    if refused.is_empty() { Verdict::Fit(done) } else { Verdict::Unfit(refused) }
}

/// What one change did, or which of its expectations was not met first; and the first failure.
fn judge_one(change: &Change, answers: Vec<Result<u64, Error>>) -> (Result<Committed, Error>, Option<Error>) {
    let mut result = Ok(Committed { rows: Vec::with_capacity(answers.len()) });
    for (statement, answer) in change.statements.iter().zip(answers) {
        let touched = match answer {
            Ok(touched) => usize::try_from(touched).unwrap_or(usize::MAX),
            Err(error) => return (result, Some(error)),
        };
        match (&mut result, statement.expectation) {
            (Ok(_), Some(expected)) if expected.rows != touched => {
                result = Err(Error::Conflict { what: expected.what });
            }
            (Ok(committed), _) => committed.rows.push(touched),
            (Err(_), _) => {}
        }
    }
    (result, None)
}

async fn commit(line: &Connection, id: String, done: Vec<Committed>) -> Outcome {
    match timeout(ANSWER_WITHIN, answer(line.say("COMMIT").await)).await {
        Ok(Ok(())) => Outcome::Committed(done),
        Ok(Err(why)) => Outcome::Unknown { id, done, why },
        Err(_elapsed) => Outcome::Unknown { id, done, why: unanswered("COMMIT") },
    }
}

fn unanswered(sql: &'static str) -> Error {
    Error::Statement { sql, is_transient: true, source: format!("no answer within {ANSWER_WITHIN:?}").into() }
}
