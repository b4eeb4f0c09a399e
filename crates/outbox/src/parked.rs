//! What an operator can ask about parked messages; any process can that opens the database.

use crate::selection::{first, redriven, selected};
use crate::{Selection, rows};
use messaging::Message;
use serde::Serialize;
use std::collections::BTreeMap;
use store::{Error, Row, Statement, Store};

/// Parked messages of one page at most.
const PAGE_MAX: i64 = 1_000;
/// Messages that are counted; beyond, this many are shown.
const COUNTED_MAX: i64 = 100_000;

/// A parked message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Its number. Within a key the order of numbers is that in which messages came.
    pub number: i64,
    /// Who could not handle it.
    pub consumer: String,
    /// The message; its payload only if it was asked for.
    pub message: Message,
    /// Bytes of the payload.
    pub payload_bytes: i64,
    /// What is wrong with it, or that an earlier one of its key is parked.
    pub why: String,
    /// When it was parked, in microseconds since 1970.
    pub parked_us: i64,
    /// How often it was handed to the consumer and failed, if it is the first of its key.
    pub tries: i64,
    /// Whether it is the first of its key: the one to look at.
    pub is_first: bool,
    /// The request by which its key is being redriven.
    pub request: Option<String>,
}

/// Whether payloads are read; they hold personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// They are.
    Shown,
    /// They stay where they are.
    Hidden,
}

/// What one consumer has parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedKeys {
    /// Who.
    pub consumer: String,
    /// Keys.
    pub keys: i64,
    /// Messages, at most 100,000 counted over all consumers.
    pub messages: i64,
    /// Keys that wait to be redriven, or are.
    pub redriven_keys: i64,
    /// When the first of the keys was parked, in microseconds since 1970.
    pub oldest_us: i64,
}

/// The columns of [`Parked`], with the payload if parameter 8 is 1, otherwise with parameter 9 in its place.
macro_rules! columns {
    () => {
        concat!(
            "SELECT p.number, p.consumer, p.why, p.parked_us, p.tries, CASE WHEN ", first!("p"), " THEN 1 ELSE 0 END, k.request,
             CAST(length(p.payload) AS BIGINT), p.message_id, p.effect_id, p.channel, p.key, p.kind, p.causation_id, p.traceparent,
             p.created_us, CASE WHEN CAST(?8 AS BIGINT) = 1 THEN p.payload ELSE ?9 END
             FROM parked p JOIN parked_key k ON k.consumer = p.consumer AND k.key = p.key WHERE "
        )
    };
}

/// Lists parked messages with numbers above `after`, in the order of numbers; at most 1,000.
///
/// # Errors
/// When the store cannot be read.
pub async fn list_parked(
    store: &Store,
    selection: &Selection,
    payload: Payload,
    after: i64,
    limit: i64,
) -> Result<Vec<Parked>, Error> {
    let query = Statement::new(concat!(columns!(), selected!("p"), " AND p.number > ?10 ORDER BY p.number LIMIT ?11"));
    let query = selection.bind(query).bind(i64::from(payload == Payload::Shown)).bind(Vec::new());
    store.query(query.bind(after).bind(limit.clamp(1, PAGE_MAX))).await?.into_iter().map(parked).collect()
}

/// Lists what [`crate::redrive`] would hand over, each key in its order; at most 1,000 messages.
///
/// # Errors
/// When the store cannot be read.
pub async fn would_redrive(store: &Store, selection: &Selection, limit: i64) -> Result<Vec<Parked>, Error> {
    let query = Statement::new(concat!(
        columns!(),
        redriven!(),
        " AND k.request = '' AND (?1 = 0 OR p.number <= ?1) ORDER BY p.consumer, p.key, p.number LIMIT ?10"
    ));
    let query = selection.bind(query).bind(0).bind(Vec::new()).bind(limit.clamp(1, PAGE_MAX));
    store.query(query).await?.into_iter().map(parked).collect()
}

/// Lists what [`crate::discard`] would delete; at most 1,000 messages.
///
/// # Errors
/// When the store cannot be read.
pub async fn would_discard(store: &Store, selection: &Selection, limit: i64) -> Result<Vec<Parked>, Error> {
    let query = Statement::new(concat!(columns!(), selected!("p"), " AND k.request = '' ORDER BY p.number LIMIT ?10"));
    let query = selection.bind(query).bind(0).bind(Vec::new()).bind(limit.clamp(1, PAGE_MAX));
    store.query(query).await?.into_iter().map(parked).collect()
}

/// What each consumer has parked.
///
/// # Errors
/// When the store cannot be read.
pub async fn parked_keys(store: &Store) -> Result<Vec<ParkedKeys>, Error> {
    let keys = "SELECT consumer, count(*), count(*) FILTER (WHERE request <> ''), min(parked_us) FROM parked_key
        GROUP BY consumer ORDER BY consumer";
    let messages = "SELECT consumer, count(*) FROM (SELECT consumer FROM parked LIMIT ?1) AS counted GROUP BY consumer";
    let queries = vec![Statement::new(keys), Statement::new(messages).bind(COUNTED_MAX)];
    let mut results = store.snapshot(queries).await?.into_iter();
    let (keys, messages) = (results.next().unwrap_or_default(), results.next().unwrap_or_default());
    let messages = messages.into_iter().map(|mut row| Ok((row.take(0)?, row.take(1)?)));
    let messages = messages.collect::<Result<BTreeMap<String, i64>, Error>>()?;
    let of_consumer = |mut row: Row| {
        let consumer: String = row.take(0)?;
        let messages = messages.get(&consumer).copied().unwrap_or_default();
        Ok(ParkedKeys { consumer, keys: row.take(1)?, messages, redriven_keys: row.take(2)?, oldest_us: row.take(3)? })
    };
    keys.into_iter().map(of_consumer).collect()
}

fn parked(mut row: Row) -> Result<Parked, Error> {
    let request: String = row.take(6)?;
    Ok(Parked {
        number: row.take(0)?,
        consumer: row.take(1)?,
        why: row.take(2)?,
        parked_us: row.take(3)?,
        tries: row.take(4)?,
        is_first: row.take::<i64>(5)? != 0,
        request: Some(request).filter(|request| !request.is_empty()),
        payload_bytes: row.take(7)?,
        message: rows::read(&mut row, 8)?,
    })
}
