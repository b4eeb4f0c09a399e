//! Writes a message where the state is written.

use crate::rows;
use messaging::Message;
use store::{Change, Statement};

/// Adds a message to a change; the relay publishes it once the change is committed.
pub fn append(change: &mut Change, message: &Message) {
    let sqlite = "INSERT INTO outbox
        (message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    // The id of the transaction and the position are defaults, so that they are taken in this order.
    let postgres = "INSERT INTO outbox
        (slot, message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload)
        VALUES ((SELECT current FROM outbox_rotation), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    change.push(rows::bind(Statement::new(sqlite).on_postgres(postgres), message));
    change.wake();
}
