//! Writes a message where the state is written.

use crate::rows;
use messaging::Message;
use store::{Change, Statement};

/// Adds a message to a change; the relay publishes it once the change is committed.
pub fn append(change: &mut Change, message: &Message) {
    let sql = "INSERT INTO outbox
        (message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    change.push(rows::bind(Statement::new(sql), message));
    change.wake();
}
