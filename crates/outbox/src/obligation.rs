//! What still waits for a reply.

use crate::{Config, rows};
use messaging::Message;
use store::{Change, Statement};

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

/// A byte that differs from message to message.
pub(crate) fn noise(message: &Message) -> u8 {
    message.id.to_bytes().last().copied().unwrap_or_default()
}
