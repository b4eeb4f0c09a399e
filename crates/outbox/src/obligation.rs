//! What still waits for a reply.

use crate::{Config, journal, rows};
use messaging::Message;
use store::{Change, Error, Row, Statement, Store};

/// A reply that is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The effect that the command is to have.
    pub effect_id: String,
    /// When the command was sent first, in microseconds since 1970.
    pub since_us: i64,
    /// How often it was sent.
    pub attempts: i64,
    /// When it will be sent again, in microseconds since 1970.
    pub next_attempt_us: i64,
    /// Whether the bus has the last attempt, and everything that was to be published before it.
    pub is_published: bool,
}

/// Adds to a change that `command`, which it also appends, expects a reply: the command is sent again until [`settle`] says that there is
/// one.
pub fn oblige(change: &mut Change, command: &Message, config: &Config) {
    crate::append(change, command);
    let due_us = command.created_us.saturating_add(rows::micros(config.resend_after(1, noise(command))));
    let sql = "INSERT INTO obligation
        (effect_id, key, channel, kind, traceparent, payload, message_id, since_us, due_us, attempt, sent_us)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?8)";
    change.push(
        Statement::new(sql)
            .bind(command.effect_id.as_str())
            .bind(command.key.as_str())
            .bind(command.channel.as_str())
            .bind(command.kind.as_str())
            .bind(command.traceparent.clone())
            .bind(command.payload.clone())
            .bind(command.id.to_bytes())
            .bind(command.created_us)
            .bind(due_us),
    );
}

/// Adds to a change that the reply to a command is there, or is no longer needed.
pub fn settle(change: &mut Change, effect_id: &str) {
    change.push(Statement::new("DELETE FROM obligation WHERE effect_id = ?1").bind(effect_id));
}

/// Reads the replies that are still to come for a key, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub async fn awaited(store: &Store, key: &str) -> Result<Vec<Awaited>, Error> {
    let unpublished_since_us = journal::oldest_unpublished_us(store).await?.unwrap_or(i64::MAX);
    let sql = "SELECT effect_id, since_us, attempt, due_us, sent_us FROM obligation WHERE key = ?1 ORDER BY since_us, effect_id";
    let rows = store.query(Statement::new(sql).bind(key)).await?;
    rows.into_iter().map(|row| read(row, unpublished_since_us)).collect()
}

fn read(mut row: Row, unpublished_since_us: i64) -> Result<Awaited, Error> {
    Ok(Awaited {
        effect_id: row.take(0)?,
        since_us: row.take(1)?,
        attempts: row.take(2)?,
        next_attempt_us: row.take(3)?,
        is_published: row.take::<i64>(4)? < unpublished_since_us,
    })
}

/// A byte that differs from message to message.
pub(crate) fn noise(message: &Message) -> u8 {
    message.id.to_bytes().last().copied().unwrap_or_default()
}
