//! A message as columns, the same in every table that holds one.

use messaging::{Message, MessageId};
use store::{Error, Row, Statement};

/// The columns of a message, in the order in which they are bound and read.
pub(crate) const COLUMNS: [&str; 9] =
    ["message_id", "effect_id", "channel", "key", "kind", "causation_id", "traceparent", "created_us", "payload"];

/// Binds [`COLUMNS`].
pub(crate) fn bind(statement: Statement, message: &Message) -> Statement {
    statement
        .bind(message.id.to_bytes())
        .bind(message.effect_id.as_str())
        .bind(message.channel.as_str())
        .bind(message.key.as_str())
        .bind(message.kind.as_str())
        .bind(message.causation_id.map(MessageId::to_bytes))
        .bind(message.traceparent.clone())
        .bind(message.created_us)
        .bind(message.payload.clone())
}

/// Reads the same columns, starting at column `from`.
pub(crate) fn read(row: &mut Row, from: usize) -> Result<Message, Error> {
    Ok(Message {
        id: message_id(row, from)?,
        effect_id: row.take(from + 1)?,
        channel: row.take(from + 2)?,
        key: row.take(from + 3)?,
        kind: row.take(from + 4)?,
        causation_id: row.take::<Option<Vec<u8>>>(from + 5)?.as_deref().and_then(MessageId::from_slice),
        traceparent: row.take(from + 6)?,
        created_us: row.take(from + 7)?,
        payload: row.take(from + 8)?,
    })
}

fn message_id(row: &mut Row, column: usize) -> Result<MessageId, Error> {
    MessageId::from_slice(&row.take::<Vec<u8>>(column)?).ok_or(Error::Column { column, expected: "16 bytes" })
}

/// Microseconds since 1970, now.
pub(crate) fn now_us() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

/// A duration in microseconds.
pub(crate) fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Microseconds as a duration; none when they are negative.
pub(crate) fn duration(micros: i64) -> std::time::Duration {
    std::time::Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}
