//! Answers a command once in effect, and with the same reply whenever it comes again.
//!
//! The reply is kept beside the effect, in one transaction. A command that comes again is answered from there: without that, an effect
//! whose reply got lost would leave its sender waiting for ever. The row of the inbox is what decides, when the effect is committed; nearly
//! all commands come once, so none is looked up before.

use crate::rows;
use crate::{Config, Handle, Outcome};
use lifecycle::{Drain, Rhythm};
use messaging::Message;
use std::time::Duration;
use store::{Change, Error, Statement, Store};
use tracing::warn;

/// Decisions that somebody else overtook, in a row, before the command is left for a later try.
const OVERTAKEN_MAX: usize = 5;
/// How often old replies are dropped.
const CLEANING_PERIOD: Duration = Duration::from_secs(60);
/// Replies dropped in one transaction.
const CLEANED_AT_ONCE: i64 = 5_000;

/// What the effect id of a reply adds to that of its command.
pub(crate) const REPLY: &str = ":reply";

/// What a command brings about.
#[derive(Debug)]
pub struct Response {
    /// What to tell the sender; its `effect_id` and cause are filled in.
    pub reply: Message,
    /// What changes in the service, guarded by expectations.
    pub change: Change,
}

/// Decides on commands. It is asked again when somebody else was faster, so it must not act, only read.
pub trait Respond: Send + Sync {
    /// Decides on one command.
    ///
    /// # Errors
    /// `Retry` or `Poison`, when there can be no reply.
    fn respond(&self, command: &Message) -> impl Future<Output = Result<Response, Outcome>> + Send;
}

/// Handles commands with a [`Respond`], remembering the replies in the service's store.
#[derive(Debug)]
pub struct Inbox<R> {
    store: Store,
    responder: R,
}

impl<R: Respond> Inbox<R> {
    /// An inbox in `store`, which is also where the responder's changes are made.
    #[must_use]
    pub fn new(store: Store, responder: R) -> Self {
        Inbox { store, responder }
    }

    async fn repeat(&self, reply: &Message) -> Result<(), Error> {
        let mut change = Change::new();
        crate::append(&mut change, reply);
        self.store.commit(change).await.map(|_| ())
    }

    async fn respond_once(&self, command: &Message) -> Result<Outcome, Error> {
        for _ in 0..OVERTAKEN_MAX {
            let Response { reply, mut change } = match self.responder.respond(command).await {
                Ok(response) => response,
                Err(outcome @ Outcome::Poison { .. }) => {
                    // What it has already done may be what makes it impossible now.
                    let Some(reply) = answered(&self.store, command).await? else { return Ok(outcome) };
                    self.repeat(&reply).await?;
                    return Ok(Outcome::Done);
                }
                Err(outcome) => return Ok(outcome),
            };
            answer(&mut change, command, reply);
            match self.store.commit(change).await {
                Ok(_) => return Ok(Outcome::Done),
                Err(Error::Conflict { .. }) => {}
                // Also when the outcome of the commit is not known: the command comes again, and the row in the inbox decides.
                Err(error) => return Err(error),
            }
            if let Some(reply) = answered(&self.store, command).await? {
                self.repeat(&reply).await?;
                return Ok(Outcome::Done);
            }
        }
        Ok(Outcome::Retry {
            after: Duration::from_millis(10),
            why: "the decision was overtaken again and again".to_owned(),
        })
    }
}

impl<R: Respond> Handle for Inbox<R> {
    async fn handle(&self, command: &Message) -> Outcome {
        match self.respond_once(command).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::of_failure(&error),
        }
    }
}

/// Adds to a change that a command is handled, and its reply, whose `effect_id` and cause are filled in. The change is refused with a
/// conflict when the command was handled before.
///
/// For a service that commits by itself; everybody else has an [`Inbox`] that does it.
pub fn answer(change: &mut Change, command: &Message, reply: Message) {
    let mut reply = reply.caused_by(command);
    reply.effect_id = format!("{}{REPLY}", command.effect_id);
    remember(change, command, &reply);
    crate::append(change, &reply);
}

/// What a command that was handled before was answered with, to be sent again; `None` when it is new, or was handled too long ago.
///
/// # Errors
/// When the store cannot be read.
pub async fn answered(store: &Store, command: &Message) -> Result<Option<Message>, Error> {
    let query = Statement::new(
        "SELECT reply_channel, reply_kind, reply_key, reply_effect_id, reply_payload FROM inbox WHERE effect_id = ?1",
    );
    let mut rows = store.query(query.bind(command.effect_id.as_str())).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    let (channel, kind): (String, String) = (row.take(0)?, row.take(1)?);
    let reply = Message::new(&channel, &kind, row.take(2)?, row.take(3)?, row.take(4)?);
    Ok(Some(reply.caused_by(command)))
}

fn remember(change: &mut Change, command: &Message, reply: &Message) {
    let sql = "INSERT INTO inbox (effect_id, reply_effect_id, reply_channel, reply_key, reply_kind, reply_payload, handled_us)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    change.push(
        Statement::new(sql)
            .bind(command.effect_id.as_str())
            .bind(reply.effect_id.as_str())
            .bind(reply.channel.as_str())
            .bind(reply.key.as_str())
            .bind(reply.kind.as_str())
            .bind(reply.payload.clone())
            .bind(rows::now_us())
            .expecting(1, "the command was not handled before"),
    );
}

/// Drops replies that are older than `inbox_kept_ms`, a bounded number at a time, until it is asked to drain.
pub async fn keep_inbox_small(store: Store, config: Config, drain: Drain) {
    let mut rhythm = Rhythm::every(CLEANING_PERIOD, drain.clone());
    while rhythm.beat().await {
        if let Err(error) = drop_old_replies(&store, &config, &drain).await {
            warn!(error = &error as &dyn std::error::Error, "old replies could not be dropped");
        }
    }
}

/// Drops until nothing old is left, so that it keeps up however many commands come in a minute.
async fn drop_old_replies(store: &Store, config: &Config, drain: &Drain) -> Result<(), Error> {
    let kept = Duration::from_millis(config.inbox_kept_ms);
    let before_us = rows::now_us().saturating_sub(rows::micros(kept));
    while !drain.is_requested() {
        let mut change = Change::new();
        let sqlite =
            "DELETE FROM inbox WHERE rowid IN (SELECT rowid FROM inbox ORDER BY rowid LIMIT ?1) AND handled_us < ?2";
        // An array, since PostgreSQL reads the whole table for `ctid IN (SELECT ..)`.
        let postgres = "DELETE FROM inbox WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM inbox WHERE handled_us < ?2 ORDER BY handled_us LIMIT ?1))";
        change.push(Statement::new(sqlite).on_postgres(postgres).bind(CLEANED_AT_ONCE).bind(before_us));
        if store.commit(change).await?.rows == [0] {
            break;
        }
    }
    Ok(())
}
