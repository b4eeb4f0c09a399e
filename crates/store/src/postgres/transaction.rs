//! One transaction for many changes.
//!
//! All statements of all changes are sent at once and their answers looked at afterwards, so that a transaction costs two round trips,
//! however many share it. There are no savepoints, each of which would cost the server as much as a statement: a change that fails undoes
//! the transaction, and the others are done again without it.

use super::connection::{Connection, answer, is_everybodys};
use crate::queue::Member;
use crate::{Change, Committed, Error, Row, Statement};
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
    let answers = match timeout(ANSWER_WITHIN, apply(line, members)).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(outcome)) => return outcome,
        Err(_elapsed) => return Outcome::Lost(unanswered("BEGIN")),
    };
    match judge(members, answers.touched) {
        Verdict::Fit(done) => commit(line, answers.id, done).await,
        Verdict::Hopeless(error) => Outcome::Lost(error),
        Verdict::Unfit(refused) => match timeout(ANSWER_WITHIN, answer(line.say("ROLLBACK").await)).await {
            Ok(Ok(())) => Outcome::Refused(refused),
            Ok(Err(error)) => Outcome::Lost(error),
            Err(_elapsed) => Outcome::Lost(unanswered("ROLLBACK")),
        },
    }
}

/// What the server said to a transaction that is not committed yet.
struct Answers {
    id: String,
    /// Rows touched by each statement of each change.
    touched: Vec<Vec<Result<u64, Error>>>,
}

async fn apply(line: &mut Connection, members: &[Member]) -> Result<Answers, Outcome> {
    // The id tells afterwards whether the transaction was committed, should the line be lost meanwhile.
    let identify = Statement::new("SELECT pg_current_xact_id()::TEXT");
    line.prepare(&identify).await.map_err(Outcome::Lost)?;
    for (index, Member { change, .. }) in members.iter().enumerate() {
        for statement in &change.statements {
            if let Err(error) = line.prepare(statement).await {
                let is_lost = line.is_closed() || is_everybodys(&error);
                return Err(if is_lost { Outcome::Lost(error) } else { Outcome::Refused(vec![(index, error)]) });
            }
        }
    }
    let begun = line.say("BEGIN").await;
    let identified = line.query(&identify).await;
    let mut sent = Vec::with_capacity(members.len());
    for Member { change, .. } in members {
        let mut statements = Vec::with_capacity(change.statements.len());
        for statement in &change.statements {
            statements.push(line.execute(statement).await);
        }
        sent.push(statements);
    }
    answer(begun).await.map_err(Outcome::Lost)?;
    let mut identified: Vec<Row> = answer(identified).await.map_err(Outcome::Lost)?;
    let id = identified.first_mut().ok_or(Error::Closed).and_then(|row| row.take(0)).map_err(Outcome::Lost)?;
    let mut touched = Vec::with_capacity(sent.len());
    for statements in sent {
        let mut of_one = Vec::with_capacity(statements.len());
        for statement in statements {
            of_one.push(answer(statement).await);
        }
        touched.push(of_one);
    }
    if line.is_closed() {
        return Err(Outcome::Lost(Error::Closed));
    }
    Ok(Answers { id, touched })
}

enum Verdict {
    Fit(Vec<Committed>),
    Unfit(Vec<(usize, Error)>),
    /// The server does nothing for anybody now.
    Hopeless(Error),
}

/// Whether all changes did what they had to; if not, which did not. After a statement that failed the server answers nothing more, so of
/// what follows nothing is known.
fn judge(members: &[Member], touched: Vec<Vec<Result<u64, Error>>>) -> Verdict {
    let (mut done, mut refused) = (Vec::with_capacity(members.len()), Vec::new());
    for (index, (member, answers)) in members.iter().zip(touched).enumerate() {
        let (result, failure) = judge_one(&member.change, answers);
        let is_aborted = failure.is_some();
        match (result, failure) {
            (_, Some(error)) if is_everybodys(&error) => return Verdict::Hopeless(error),
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
