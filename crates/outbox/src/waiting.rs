//! How much is not published yet, and since when.

use crate::rows;
use serde::Serialize;
use std::time::Duration;
use store::{Error, Statement, Store};

/// Rows that are counted; beyond, the depth is estimated from positions. 100,000 take some 50 ms.
const COUNTED_MAX: i64 = 100_000;

/// The unpublished messages of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Where they go.
    pub channel: String,
    /// How many they are; an estimate when they are many.
    pub messages: i64,
    /// The age of the oldest.
    pub oldest: Duration,
}

/// What is not published according to the cursor in the database, so a relay that is dead shows as well.
pub(crate) async fn waiting(store: &Store) -> Result<Vec<Waiting>, Error> {
    let counted = Statement::new(
        "SELECT channel, count(*), min(created_us), min(position), max(position), (SELECT max(position) FROM outbox)
         FROM (SELECT channel, created_us, position FROM outbox
               WHERE position > (SELECT position FROM outbox_cursor WHERE lane = 0) ORDER BY position LIMIT ?1)
         GROUP BY channel",
    )
    .on_postgres(
        "SELECT channel, count(*), min(created_us), min(position), max(position), (SELECT last_value FROM outbox_position)
         FROM outbox_unpublished(?1) GROUP BY channel",
    );
    let now_us = rows::now_us();
    let (mut found, mut counted_rows) = (Vec::new(), 0);
    let (mut first, mut last, mut top) = (i64::MAX, 0, 0);
    for mut row in store.query(counted.bind(COUNTED_MAX)).await? {
        let (channel, messages, since_us): (String, i64, i64) = (row.take(0)?, row.take(1)?, row.take(2)?);
        (first, last, top) = (first.min(row.take(3)?), last.max(row.take(4)?), row.take(5)?);
        counted_rows += messages;
        let oldest = rows::duration(now_us - since_us);
        found.push(Waiting { channel, messages, oldest });
    }
    if counted_rows >= COUNTED_MAX {
        for waiting in &mut found {
            waiting.messages = stretched(waiting.messages, last - first, top - first);
        }
    }
    Ok(found)
}

/// Stretches a count from the positions that were looked at to all of them.
fn stretched(messages: i64, looked_at: i64, all: i64) -> i64 {
    let product = i128::from(messages) * i128::from(all.max(looked_at));
    i64::try_from(product / i128::from(looked_at.max(1))).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_stretched_to_what_was_not_looked_at() {
        assert_eq!(stretched(50_000, 100_000, 1_000_000), 500_000);
        assert_eq!(stretched(7, 0, 0), 0);
        assert_eq!(stretched(100, 100, 50), 100);
    }
}
