//! What operators have done with parked messages: redriven, discarded, and noted in the audit.

use crate::Selection;
use crate::parking::legible;
use crate::rows;
use crate::selection::{first, redriven, selected};
use messaging::MessageId;
use serde::Serialize;
use store::{Change, Error, Row, Statement, Store};

/// How the audit calls a redrive; the consumers look for it.
const REDRIVE: &str = "redrive";
/// How the audit calls a discard.
const DISCARD: &str = "discard";
/// Actions of one page at most.
const ACTIONS_MAX: i64 = 1_000;

/// Who wants something done, and why; for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
}

/// What was done with parked messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    /// They were handed to the consumer again.
    Redrive,
    /// They were deleted.
    Discard,
}

/// What an operator had done, and what came of it: a row of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// Names it.
    pub request: String,
    /// What.
    pub kind: ActionKind,
    /// Whose messages.
    pub consumer: String,
    /// Which of them, in words.
    pub selection: String,
    /// Who wanted it.
    pub who: String,
    /// Why.
    pub why: String,
    /// When, in microseconds since 1970.
    pub asked_us: i64,
    /// Messages per second at most; 0: no limit.
    pub per_second: i64,
    /// Keys that it was about, but for those that another request was about already.
    pub keys: i64,
    /// Messages of these keys at that time.
    pub messages: i64,
    /// Messages that were redriven with success.
    pub handled: i64,
    /// Keys whose next message failed again; they stay parked.
    pub failed: i64,
    /// When nothing was left to do; `None`: it goes on, or the consumer runs nowhere.
    pub finished_us: Option<i64>,
}

/// The columns of [`Action`].
macro_rules! action_columns {
    () => {
        "SELECT request, action, consumer, selection, who, why, asked_us, per_second, keys, messages, handled, failed, finished_us
         FROM parking_audit "
    };
}

/// Asks the consumers to handle keys again whose first message is selected, each from its first message on; the whole key, or up to the
/// message if one is selected by its number. They begin within a second and go on until a key is free or a message of it fails again.
/// Keys that another request is about are left out, so nothing is handed over twice. `per_second`: messages of one consumer; 0: no limit.
///
/// Returns one action for each consumer, with what it is about; [`actions`] tells how far they are.
///
/// # Errors
/// When the store cannot be written.
pub async fn redrive(store: &Store, selection: &Selection, by: &By, per_second: u32) -> Result<Vec<Action>, Error> {
    let claim = concat!("UPDATE parked_key AS k SET request = ?8, upto = ?9 WHERE k.request = '' AND ", redriven!());
    let measure = "UPDATE parking_audit SET
        keys = (SELECT count(*) FROM parked_key WHERE request = ?1),
        messages = (SELECT count(*) FROM parked p JOIN parked_key k ON k.consumer = p.consumer AND k.key = p.key
            WHERE k.request = ?1 AND p.number <= k.upto)
        WHERE request = ?1";
    let mut begun = Vec::new();
    for consumer in consumers(store, selection).await? {
        let (selection, request) = (selection.of(&consumer), MessageId::generate().to_string());
        let asked = Asked { kind: ActionKind::Redrive, request: &request, consumer: &consumer, per_second };
        let mut change = Change::new();
        change.push(asked.insert(&selection, by));
        let upto = selection.number.unwrap_or(i64::MAX);
        change.push(selection.bind(Statement::new(claim)).bind(request.as_str()).bind(upto));
        change.push(Statement::new(measure).bind(request.as_str()));
        change.push(nothing(&request));
        store.commit(change).await?;
        begun.extend(action(store, &request).await?);
    }
    Ok(begun)
}

/// Deletes selected messages for good, and sets the keys free of which nothing is left. Keys that are being redriven are left alone.
///
/// A reply or an event is lost by this. A command is not: its sender still waits for the reply and sends it again, so it comes back, and
/// is parked again unless the cause is mended.
///
/// # Errors
/// When the store cannot be written.
pub async fn discard(store: &Store, selection: &Selection, by: &By) -> Result<Vec<Action>, Error> {
    // The keys are locked first, so that nothing is parked behind one that is set free here.
    let claim = concat!(
        "UPDATE parked_key AS k SET request = ?8 WHERE k.request = '' AND EXISTS
         (SELECT 1 FROM parked p WHERE p.consumer = k.consumer AND p.key = k.key AND ",
        selected!("p"),
        ")"
    );
    let measure =
        concat!(
        "UPDATE parking_audit SET finished_us = ?9, keys = (SELECT count(*) FROM parked_key k WHERE k.request = ?8),
         messages = (SELECT count(*) FROM parked p JOIN parked_key k ON k.consumer = p.consumer AND k.key = p.key
            WHERE k.request = ?8 AND ", selected!("p"), ") WHERE request = ?8"
    );
    let delete = concat!(
        "DELETE FROM parked AS p WHERE ",
        selected!("p"),
        " AND EXISTS
         (SELECT 1 FROM parked_key k WHERE k.consumer = p.consumer AND k.key = p.key AND k.request = ?8)"
    );
    let free = "DELETE FROM parked_key WHERE request = ?1 AND NOT EXISTS
        (SELECT 1 FROM parked p WHERE p.consumer = parked_key.consumer AND p.key = parked_key.key)";
    let leave = "UPDATE parked_key SET request = '', version = version + 1 WHERE request = ?1";
    let mut done = Vec::new();
    for consumer in consumers(store, selection).await? {
        let (selection, request) = (selection.of(&consumer), MessageId::generate().to_string());
        let asked = Asked { kind: ActionKind::Discard, request: &request, consumer: &consumer, per_second: 0 };
        let mut change = Change::new();
        change.push(asked.insert(&selection, by));
        change.push(selection.bind(Statement::new(claim)).bind(request.as_str()));
        change.push(selection.bind(Statement::new(measure)).bind(request.as_str()).bind(rows::now_us()));
        change.push(selection.bind(Statement::new(delete)).bind(request.as_str()));
        change.push(Statement::new(free).bind(request.as_str()));
        change.push(Statement::new(leave).bind(request.as_str()));
        change.push(nothing(&request));
        store.commit(change).await?;
        done.extend(action(store, &request).await?);
    }
    Ok(done)
}

/// The audit: the newest actions first; at most 1,000.
///
/// # Errors
/// When the store cannot be read.
pub async fn actions(store: &Store, limit: i64) -> Result<Vec<Action>, Error> {
    let query = Statement::new(concat!(action_columns!(), "ORDER BY asked_us DESC, request DESC LIMIT ?1"));
    store.query(query.bind(limit.clamp(1, ACTIONS_MAX))).await?.into_iter().map(read_action).collect()
}

/// One action; `None` if there is none of this name.
///
/// # Errors
/// When the store cannot be read.
pub async fn action(store: &Store, request: &str) -> Result<Option<Action>, Error> {
    let query = Statement::new(concat!(action_columns!(), "WHERE request = ?1"));
    store.query(query.bind(request)).await?.pop().map(read_action).transpose()
}

/// The consumers of which something is selected.
async fn consumers(store: &Store, selection: &Selection) -> Result<Vec<String>, Error> {
    let query = Statement::new(concat!(
        "SELECT DISTINCT p.consumer FROM parked p WHERE ",
        selected!("p"),
        " ORDER BY p.consumer"
    ));
    store.query(selection.bind(query)).await?.into_iter().map(|mut row| row.take(0)).collect()
}

/// An action that is to be noted.
struct Asked<'a> {
    kind: ActionKind,
    request: &'a str,
    consumer: &'a str,
    per_second: u32,
}

impl Asked<'_> {
    fn insert(&self, selection: &Selection, by: &By) -> Statement {
        let sql = "INSERT INTO parking_audit (request, action, consumer, selection, who, why, asked_us, per_second)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let kind = match self.kind {
            ActionKind::Redrive => REDRIVE,
            ActionKind::Discard => DISCARD,
        };
        Statement::new(sql)
            .bind(self.request)
            .bind(kind)
            .bind(self.consumer)
            .bind(legible(&selection.to_text()))
            .bind(legible(&by.who))
            .bind(legible(&by.why))
            .bind(rows::now_us())
            .bind(self.per_second)
    }
}

/// Takes the note back when the action is about nothing: others were faster.
fn nothing(request: &str) -> Statement {
    Statement::new("DELETE FROM parking_audit WHERE request = ?1 AND keys = 0").bind(request)
}

fn read_action(mut row: Row) -> Result<Action, Error> {
    let kind: String = row.take(1)?;
    Ok(Action {
        request: row.take(0)?,
        kind: if kind == DISCARD { ActionKind::Discard } else { ActionKind::Redrive },
        consumer: row.take(2)?,
        selection: row.take(3)?,
        who: row.take(4)?,
        why: row.take(5)?,
        asked_us: row.take(6)?,
        per_second: row.take(7)?,
        keys: row.take(8)?,
        messages: row.take(9)?,
        handled: row.take(10)?,
        failed: row.take(11)?,
        finished_us: row.take(12)?,
    })
}
