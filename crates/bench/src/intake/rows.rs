//! The rows that an order leaves behind, so that a peer writes no less.

use super::house::House;
use crate::Measured;
use store::{Change, Statement, Store};

/// What a peer may differ by: ids and numbers are not quite as long.
const TOLERANCE: f64 = 0.05;

/// What the rows of an order hold, as far as all orders hold the same.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) placed: Vec<u8>,
    pub(super) fingerprint: Vec<u8>,
    pub(super) restaurant_id: String,
    /// Two commands, which await replies, and an event.
    pub(super) messages: [Message; 3],
}

/// A message in the outbox.
#[derive(Debug)]
pub(super) struct Message {
    /// What its effect id adds to the order's id.
    pub(super) effect: String,
    pub(super) channel: String,
    pub(super) kind: String,
    pub(super) payload: Vec<u8>,
}

impl Sample {
    /// Reads what an order of the real service wrote.
    pub(super) async fn take(house: &House) -> Measured<Self> {
        house.take_one().await?;
        let orders = "SELECT order_id, placed, restaurant_id FROM orders ORDER BY order_id DESC LIMIT 1";
        let keys = "SELECT fingerprint FROM idempotency ORDER BY created_us DESC LIMIT 1";
        let outbox = "SELECT key, effect_id, channel, kind, payload FROM outbox ORDER BY position DESC LIMIT 3";
        let queries = [orders, keys, outbox].map(Statement::new).to_vec();
        let mut results = house.store().snapshot(queries).await?.into_iter();
        let mut rows = || results.next().unwrap_or_default();
        let (mut order, mut key, messages) = (rows().remove(0), rows().remove(0), rows());
        let mut messages: Vec<Message> = messages.into_iter().map(message).collect::<Result<_, store::Error>>()?;
        messages.reverse();
        let messages = messages.try_into().map_err(|_found| "an order has three messages")?;
        Ok(Sample { placed: order.take(1)?, fingerprint: key.take(0)?, restaurant_id: order.take(2)?, messages })
    }
}

fn message(mut row: store::Row) -> Result<Message, store::Error> {
    let (order_id, effect_id): (String, String) = (row.take(0)?, row.take(1)?);
    let effect = effect_id.replacen(&order_id, "", 1);
    Ok(Message { effect, channel: row.take(2)?, kind: row.take(3)?, payload: row.take(4)? })
}

/// How much stands in each table for each order.
#[derive(Debug)]
pub(super) struct Weight(Vec<(&'static str, f64, f64)>);

const TABLES: [(&str, &str); 5] = [
    (
        "orders",
        "SELECT count(*), coalesce(sum(length(order_id) + length(consumer_id) + length(restaurant_id) + length(placed)), 0) FROM orders",
    ),
    ("history", "SELECT count(*), coalesce(sum(length(order_id) + length(cause)), 0) FROM history"),
    (
        "idempotency",
        "SELECT count(*), coalesce(sum(length(request_id) + length(fingerprint) + length(order_id)), 0) FROM idempotency",
    ),
    (
        "outbox",
        "SELECT count(*), coalesce(sum(length(message_id) + length(effect_id) + length(channel) + length(key) + length(kind) + length(payload)), 0) FROM outbox",
    ),
    (
        "obligation",
        "SELECT count(*), coalesce(sum(length(message_id) + length(effect_id) + length(channel) + length(key) + length(kind) + length(payload)), 0) FROM obligation",
    ),
];

impl Weight {
    pub(super) async fn of(store: &Store) -> Measured<Self> {
        let mut tables = Vec::new();
        let mut orders = None;
        for (table, sql) in TABLES {
            let mut row = store.query(Statement::new(sql)).await?.remove(0);
            let (rows, bytes) = (row.take::<i64>(0)? as f64, row.take::<i64>(1)? as f64);
            let orders = *orders.get_or_insert(rows);
            tables.push((table, rows / orders, bytes / orders));
        }
        Ok(Weight(tables))
    }

    /// A peer that wrote less would be no peer.
    pub(super) fn must_equal(&self, peer: &Weight) -> Measured<()> {
        let differs = |ours: f64, theirs: f64| (ours - theirs).abs() > ours * TOLERANCE;
        for ((table, rows, bytes), (_, peers_rows, peers_bytes)) in self.0.iter().zip(&peer.0) {
            if differs(*rows, *peers_rows) || differs(*bytes, *peers_bytes) {
                let complaint = format!(
                    "an order leaves {rows:.2} rows and {bytes:.0} bytes in {table}, and the peer {peers_rows:.2} and {peers_bytes:.0}"
                );
                return Err(complaint.into());
            }
        }
        Ok(())
    }
}

/// Empties the tables, so that each run begins with none.
pub(super) async fn empty(store: &Store) -> Measured<()> {
    let mut change = Change::new();
    change.push(Statement::new("TRUNCATE orders, history, idempotency, obligation, outbox"));
    change.keep_alone();
    store.commit(change).await?;
    Ok(())
}
