//! A bare loop that writes the rows of an order to a SQLite file with the statements of the service, one transaction for each.

use super::rows::{Message, Sample};
use crate::Measured;
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const SUBJECT: &str = "bare-rusqlite";

const ORDER: &str =
    "INSERT INTO orders (order_id, state, version, consumer_id, restaurant_id, update_us, validate_by_us, placed,
        reply_address, correlation_id, command_id)
    VALUES (?1, 1, 1, ?2, ?3, ?4, NULL, ?5, NULL, NULL, NULL)";
const HISTORY: &str = "INSERT INTO history (order_id, version, state, at_us, cause, rejection) VALUES (?1, 1, 1, ?2, 'CreateOrder', NULL)";
const OUTBOX: &str =
    "INSERT INTO outbox (message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload)
    VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL, ?6, ?7)";
const OBLIGATION: &str =
    "INSERT INTO obligation (effect_id, key, channel, kind, traceparent, payload, message_id, since_us, due_us, attempt, sent_us)
    VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8, 1, ?7)";
const KEY: &str = "INSERT INTO idempotency (principal, request_id, fingerprint, order_id, created_us)
    VALUES ('', ?1, ?2, ?1, ?3) ON CONFLICT DO NOTHING";
/// When a command without a reply would be sent again.
const DUE_AFTER_US: i64 = 5_000_000;
const CONSUMERS: i64 = 1_000;
/// Messages that await a reply; they come first.
const COMMANDS: i64 = 2;

/// Orders per second in a file that has the schema.
pub(super) fn run(path: &Path, sample: &Sample, within: Duration) -> Measured<f64> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let started = Instant::now();
    let mut orders = 0;
    while started.elapsed() < within {
        orders += 1;
        write(&mut connection, sample, orders)?;
    }
    Ok(orders as f64 / started.elapsed().as_secs_f64())
}

fn write(connection: &mut Connection, sample: &Sample, number: i64) -> rusqlite::Result<()> {
    let order_id = id(number);
    let now_us = 1_700_000_000_000_000 + number;
    let transaction = connection.transaction()?;
    let say = |sql: &str, values: &[&dyn rusqlite::ToSql]| transaction.prepare_cached(sql)?.execute(values);
    say(ORDER, params![order_id, id(number % CONSUMERS), sample.restaurant_id, now_us, sample.placed])?;
    say(HISTORY, params![order_id, now_us])?;
    for (place, Message { effect, channel, kind, payload }) in (0_i64..).zip(&sample.messages) {
        let message_id = (i128::from(number) * 3 + i128::from(place)).to_be_bytes();
        let effect_id = format!("{order_id}{effect}");
        say(OUTBOX, params![message_id, effect_id, channel, order_id, kind, now_us, payload])?;
        if place < COMMANDS {
            let due_us = now_us + DUE_AFTER_US;
            say(OBLIGATION, params![effect_id, order_id, channel, kind, payload, message_id, now_us, due_us])?;
        }
    }
    say(KEY, params![order_id, sample.fingerprint, now_us])?;
    transaction.commit()
}

/// As long as a UUID.
fn id(number: i64) -> String {
    format!("01920000-0000-7000-8000-{number:012}")
}
