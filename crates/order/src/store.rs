//! Orders as rows.

use crate::Error;
use crate::domain::{Client, Order, Placed, Reason, ReplyAddress, State};
use messaging::MessageId;
use prost::Message as _;
use proto::OrderId;
use proto::comanda::order::v1 as wire;
use proto::time::Instant;
use std::collections::HashMap;
use std::sync::Arc;
use store::{Change, Migration, Row, Statement, Store};

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "orders",
        sqlite: include_str!("migrations/0001_orders.sql"),
        postgres: Some(include_str!("migrations/0001_orders.postgres.sql")),
    },
    Migration {
        version: 2,
        name: "clients over channels",
        sqlite: include_str!("migrations/0002_clients.sql"),
        postgres: Some(include_str!("migrations/0002_clients.postgres.sql")),
    },
];

/// The last number of an undecided state; the SQL of this module relies on it.
const UNDECIDED_MAX: i64 = wire::order::State::Validated as i64;
/// Idempotency keys dropped in one transaction.
const KEYS_DROPPED_AT_ONCE: i64 = 5_000;

/// One change of an order's state, as it was written down.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) version: i64,
    pub(crate) state: State,
    pub(crate) at: Instant,
    pub(crate) cause: String,
    pub(crate) reasons: Vec<Reason>,
}

/// Histories by order.
pub(crate) type Histories = HashMap<OrderId, Vec<Step>>;
/// The effect ids that orders wait for.
pub(crate) type Obligations = HashMap<OrderId, Vec<String>>;

/// A caller's name for one request, and what tells it from others under the same name.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) request_id: String,
    pub(crate) fingerprint: Vec<u8>,
}

/// An order that an idempotency key stands for.
pub(crate) struct Keyed {
    pub(crate) order_id: OrderId,
    pub(crate) fingerprint: Vec<u8>,
}

/// Which orders a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Filter {
    pub(crate) consumer_id: Option<String>,
    pub(crate) restaurant_id: Option<String>,
    pub(crate) state: Option<State>,
}

pub(crate) async fn migrate(store: &Store) -> Result<(), store::Error> {
    outbox::migrate(store).await?;
    store.migrate("order", MIGRATIONS).await
}

/// Adds a new order to a change.
pub(crate) fn insert(change: &mut Change, order: &Order) {
    let sql = "INSERT INTO orders
        (order_id, state, version, consumer_id, restaurant_id, update_us, validate_by_us, placed,
         reply_address, correlation_id, command_id)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let client = order.client.as_deref();
    change.push(
        Statement::new(sql)
            .bind(order.id.to_string())
            .bind(number(order.state))
            .bind(order.version)
            .bind(order.placed.0.consumer_id.as_str())
            .bind(order.placed.0.restaurant_id.as_str())
            .bind(order.updated.0)
            .bind(order.placed.validate_by().map(|instant| instant.0))
            .bind(order.placed.0.encode_to_vec())
            .bind(client.map(|client| client.reply_address.as_str()))
            .bind(client.map(|client| client.correlation_id.as_str()))
            .bind(client.map(|client| client.command_id.to_bytes())),
    );
    write_down(change, order, "CreateOrder");
}

/// Adds the next version of an order to a change, provided that the version before is still the current one.
pub(crate) fn update(change: &mut Change, order: &Order, cause: &str) {
    let sql = "UPDATE orders SET state = ?3, version = ?4, update_us = ?5, rejection = ?6 WHERE order_id = ?1 AND version = ?2";
    change.push(
        Statement::new(sql)
            .bind(order.id.to_string())
            .bind(order.version - 1)
            .bind(number(order.state))
            .bind(order.version)
            .bind(order.updated.0)
            .bind(encode(&order.reasons))
            .expecting(1, "the order has not changed meanwhile"),
    );
    write_down(change, order, cause);
}

fn write_down(change: &mut Change, order: &Order, cause: &str) {
    let sql = "INSERT INTO history (order_id, version, state, at_us, cause, rejection) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    change.push(
        Statement::new(sql)
            .bind(order.id.to_string())
            .bind(order.version)
            .bind(number(order.state))
            .bind(order.updated.0)
            .bind(cause)
            .bind(encode(&order.reasons)),
    );
}

/// Adds an idempotency key to a change, provided that nobody used it.
pub(crate) fn insert_key(change: &mut Change, principal: &str, key: &Key, order: &Order) {
    let sql = "INSERT INTO idempotency (principal, request_id, fingerprint, order_id, created_us)
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    change.push(
        Statement::new(sql)
            .bind(principal)
            .bind(key.request_id.as_str())
            .bind(key.fingerprint.clone())
            .bind(order.id.to_string())
            .bind(order.updated.0)
            .expecting(1, "the idempotency key is new"),
    );
}

pub(crate) async fn find_key(store: &Store, principal: &str, request_id: &str) -> Result<Option<Keyed>, Error> {
    let sql = "SELECT order_id, fingerprint FROM idempotency WHERE principal = ?1 AND request_id = ?2";
    let query = Statement::new(sql).bind(principal).bind(request_id);
    let mut rows = store.query(query).await.map_err(Error::store("look up an idempotency key"))?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    let text: String = row.take(0).map_err(Error::store("read an idempotency key"))?;
    let fingerprint = row.take(1).map_err(Error::store("read an idempotency key"))?;
    Ok(Some(Keyed { order_id: parse_id(text)?, fingerprint }))
}

/// Adds to a change that keys older than `before` are forgotten, a bounded number of them.
pub(crate) fn drop_old_keys(change: &mut Change, before: Instant) {
    let sql = "DELETE FROM idempotency WHERE (principal, request_id) IN
        (SELECT principal, request_id FROM idempotency WHERE created_us < ?1 ORDER BY created_us LIMIT ?2)";
    change.push(Statement::new(sql).bind(before.0).bind(KEYS_DROPPED_AT_ONCE));
}

fn select_one(order_id: OrderId) -> Statement {
    let sql = "SELECT order_id, state, version, update_us, placed, rejection, reply_address, correlation_id, command_id
        FROM orders WHERE order_id = ?1";
    Statement::new(sql).bind(order_id.to_string())
}

fn select_history(order_id: OrderId, after_version: i64) -> Statement {
    let sql = "SELECT version, state, at_us, cause, rejection FROM history WHERE order_id = ?1 AND version > ?2 ORDER BY version";
    Statement::new(sql).bind(order_id.to_string()).bind(after_version)
}

pub(crate) async fn find(store: &Store, order_id: OrderId) -> Result<Order, Error> {
    let mut rows = store.query(select_one(order_id)).await.map_err(Error::store("load an order"))?;
    rows.pop().map_or(Err(Error::OrderUnknown(order_id)), read_one)
}

/// An order and what happened to it after a version, as of one moment.
pub(crate) async fn find_with_history(
    store: &Store,
    order_id: OrderId,
    after: i64,
) -> Result<(Order, Vec<Step>), Error> {
    let queries = vec![select_one(order_id), select_history(order_id, after)];
    let mut results = store.snapshot(queries).await.map_err(Error::store("load an order"))?;
    let steps: Result<Vec<Step>, Error> = results.pop().unwrap_or_default().into_iter().map(read_step).collect();
    let order = results.pop().unwrap_or_default().pop().map_or(Err(Error::OrderUnknown(order_id)), read_one)?;
    Ok((order, steps?))
}

/// Orders that pass the filter, newest first, after `after`, at most `limit`.
pub(crate) async fn list(
    store: &Store,
    filter: &Filter,
    after: Option<OrderId>,
    limit: u32,
) -> Result<Vec<Order>, Error> {
    // One text for each set of filters, so that each of them uses its index. SQLite has to be told.
    let (sqlite, postgres) = match (&filter.consumer_id, &filter.restaurant_id, filter.state) {
        (Some(_), _, _) => (
            "SELECT order_id, state, version, update_us, placed, rejection FROM orders INDEXED BY orders_by_consumer
             WHERE consumer_id = ?1 AND (?2 IS NULL OR restaurant_id = ?2) AND (?3 IS NULL OR state = ?3)
             AND order_id < ?4 ORDER BY order_id DESC LIMIT ?5",
            "SELECT order_id, state, version, update_us, placed, rejection FROM orders
             WHERE consumer_id = ?1 AND (?2::TEXT IS NULL OR restaurant_id = ?2) AND (?3::BIGINT IS NULL OR state = ?3)
             AND order_id < ?4 ORDER BY order_id DESC LIMIT ?5",
        ),
        (None, Some(_), _) => (
            "SELECT order_id, state, version, update_us, placed, rejection FROM orders INDEXED BY orders_by_restaurant
             WHERE (?1 IS NULL) AND restaurant_id = ?2 AND (?3 IS NULL OR state = ?3)
             AND order_id < ?4 ORDER BY order_id DESC LIMIT ?5",
            "SELECT order_id, state, version, update_us, placed, rejection FROM orders
             WHERE (?1::TEXT IS NULL) AND restaurant_id = ?2 AND (?3::BIGINT IS NULL OR state = ?3)
             AND order_id < ?4 ORDER BY order_id DESC LIMIT ?5",
        ),
        (None, None, Some(_)) => (
            "SELECT order_id, state, version, update_us, placed, rejection FROM orders INDEXED BY orders_by_state
             WHERE (?1 IS NULL) AND (?2 IS NULL) AND state = ?3 AND order_id < ?4 ORDER BY order_id DESC LIMIT ?5",
            "SELECT order_id, state, version, update_us, placed, rejection FROM orders
             WHERE (?1::TEXT IS NULL) AND (?2::TEXT IS NULL) AND state = ?3 AND order_id < ?4 ORDER BY order_id DESC LIMIT ?5",
        ),
        (None, None, None) => (
            "SELECT order_id, state, version, update_us, placed, rejection FROM orders
             WHERE (?1 IS NULL) AND (?2 IS NULL) AND (?3 IS NULL) AND order_id < ?4 ORDER BY order_id DESC LIMIT ?5",
            "SELECT order_id, state, version, update_us, placed, rejection FROM orders
             WHERE (?1::TEXT IS NULL) AND (?2::TEXT IS NULL) AND (?3::BIGINT IS NULL) AND order_id < ?4
             ORDER BY order_id DESC LIMIT ?5",
        ),
    };
    // `~` sorts after every id.
    let before = after.map_or_else(|| "~".to_owned(), |id| id.to_string());
    let query = Statement::new(sqlite)
        .on_postgres(postgres)
        .bind(filter.consumer_id.clone())
        .bind(filter.restaurant_id.clone())
        .bind(filter.state.map(number))
        .bind(before)
        .bind(limit);
    let rows = store.query(query).await.map_err(Error::store("list orders"))?;
    rows.into_iter().map(read_order).collect()
}

/// Undecided orders whose `validate_by` has passed, at most `limit`.
pub(crate) async fn expired(store: &Store, now: Instant, limit: i64) -> Result<Vec<OrderId>, Error> {
    let sql = "SELECT order_id FROM orders
        WHERE validate_by_us IS NOT NULL AND state <= 4 AND validate_by_us <= ?1 ORDER BY validate_by_us LIMIT ?2";
    let rows =
        store.query(Statement::new(sql).bind(now.0).bind(limit)).await.map_err(Error::store("find expired orders"))?;
    rows.into_iter().map(|mut row| parse_id(row.take(0).map_err(Error::store("read an order's id"))?)).collect()
}

/// How many orders are undecided, and how many of those wait for nothing (which must be none).
pub(crate) async fn undecided(store: &Store) -> Result<(i64, i64), Error> {
    let undecided = Statement::new("SELECT count(*) FROM orders WHERE state <= ?1").bind(UNDECIDED_MAX);
    let forgotten = Statement::new(
        "SELECT count(*) FROM orders WHERE state <= ?1
         AND NOT EXISTS (SELECT 1 FROM obligation WHERE obligation.key = orders.order_id)",
    );
    let queries = vec![undecided, forgotten.bind(UNDECIDED_MAX)];
    let mut results = store.snapshot(queries).await.map_err(Error::store("count orders"))?;
    let mut count = || -> Result<i64, Error> {
        let mut rows = results.pop().unwrap_or_default();
        rows.first_mut().map_or(Ok(0), |row| row.take(0)).map_err(Error::store("count orders"))
    };
    let forgotten = count()?;
    Ok((count()?, forgotten))
}

/// Orders after `after`, oldest first, with their histories and the effect ids that they wait for, as of one moment.
pub(crate) async fn read_all(
    store: &Store,
    after: Option<OrderId>,
    limit: u32,
) -> Result<(Vec<Order>, Histories, Obligations), Error> {
    let orders = "SELECT order_id, state, version, update_us, placed, rejection FROM orders WHERE order_id > ?1 ORDER BY order_id LIMIT ?2";
    let history = "SELECT version, state, at_us, cause, rejection, order_id FROM history
        WHERE order_id IN (SELECT order_id FROM orders WHERE order_id > ?1 ORDER BY order_id LIMIT ?2) ORDER BY order_id, version";
    let obligations = "SELECT key, effect_id FROM obligation
        WHERE key IN (SELECT order_id FROM orders WHERE order_id > ?1 ORDER BY order_id LIMIT ?2)";
    let after = after.map_or_else(String::new, |id| id.to_string());
    let queries = [orders, history, obligations].map(|sql| Statement::new(sql).bind(after.as_str()).bind(limit));
    let mut results = store.snapshot(queries.to_vec()).await.map_err(Error::store("read all orders"))?.into_iter();
    let mut next = || results.next().unwrap_or_default();
    let orders: Result<Vec<Order>, Error> = next().into_iter().map(read_order).collect();
    let mut histories = Histories::new();
    for mut row in next() {
        let order_id = parse_id(row.take(5).map_err(Error::store("read an order's history"))?)?;
        histories.entry(order_id).or_default().push(read_step(row)?);
    }
    let mut obligations = Obligations::new();
    for mut row in next() {
        let order_id = parse_id(row.take(0).map_err(Error::store("read an obligation"))?)?;
        let effect_id = row.take(1).map_err(Error::store("read an obligation"))?;
        obligations.entry(order_id).or_default().push(effect_id);
    }
    Ok((orders?, histories, obligations))
}

/// Reads what [`select_one`] selects.
fn read_one(mut row: Row) -> Result<Order, Error> {
    let client = read_client(&mut row)?;
    Ok(Order { client, ..read_order(row)? })
}

fn read_client(row: &mut Row) -> Result<Option<Arc<Client>>, Error> {
    let doing = "read an order's client";
    let reply_address: Option<String> = row.take(6).map_err(Error::store(doing))?;
    let Some(reply_address) = reply_address else { return Ok(None) };
    let correlation_id: String = row.take(7).map_err(Error::store(doing))?;
    let command_id: Vec<u8> = row.take(8).map_err(Error::store(doing))?;
    let corrupt = || Error::Corrupt { order_id: format!("an order of {reply_address}") };
    Ok(Some(Arc::new(Client {
        reply_address: ReplyAddress::parse(&reply_address).map_err(|_malformed| corrupt())?,
        correlation_id,
        command_id: MessageId::from_slice(&command_id).ok_or_else(corrupt)?,
    })))
}

/// Reads an order without its client.
fn read_order(mut row: Row) -> Result<Order, Error> {
    let doing = "read an order";
    let text: String = row.take(0).map_err(Error::store(doing))?;
    let corrupt = |text: &str| Error::Corrupt { order_id: text.to_owned() };
    let placed: Vec<u8> = row.take(4).map_err(Error::store(doing))?;
    let rejection: Option<Vec<u8>> = row.take(5).map_err(Error::store(doing))?;
    Ok(Order {
        state: read_state(row.take(1).map_err(Error::store(doing))?).ok_or_else(|| corrupt(&text))?,
        version: row.take(2).map_err(Error::store(doing))?,
        updated: Instant(row.take(3).map_err(Error::store(doing))?),
        reasons: decode(rejection.as_deref()).ok_or_else(|| corrupt(&text))?,
        placed: Placed(Arc::new(wire::Order::decode(placed.as_slice()).map_err(|_undecodable| corrupt(&text))?)),
        client: None,
        id: parse_id(text)?,
    })
}

fn read_step(mut row: Row) -> Result<Step, Error> {
    let doing = "read an order's history";
    let corrupt = || Error::Corrupt { order_id: "a row of the history".to_owned() };
    let rejection: Option<Vec<u8>> = row.take(4).map_err(Error::store(doing))?;
    Ok(Step {
        version: row.take(0).map_err(Error::store(doing))?,
        state: read_state(row.take(1).map_err(Error::store(doing))?).ok_or_else(corrupt)?,
        at: Instant(row.take(2).map_err(Error::store(doing))?),
        cause: row.take(3).map_err(Error::store(doing))?,
        reasons: decode(rejection.as_deref()).ok_or_else(corrupt)?,
    })
}

fn parse_id(text: String) -> Result<OrderId, Error> {
    OrderId::parse("order_id", &text).map_err(|_malformed| Error::Corrupt { order_id: text })
}

fn number(state: State) -> i64 {
    state.to_wire() as i64
}

fn read_state(number: i64) -> Option<State> {
    let wire = wire::order::State::try_from(i32::try_from(number).ok()?).ok()?;
    State::from_wire(wire)
}

fn encode(reasons: &[Reason]) -> Option<Vec<u8>> {
    (!reasons.is_empty()).then(|| wire::Rejection { reasons: reasons.to_vec() }.encode_to_vec())
}

fn decode(rejection: Option<&[u8]>) -> Option<Vec<Reason>> {
    let Some(bytes) = rejection else { return Some(Vec::new()) };
    wire::Rejection::decode(bytes).ok().map(|rejection| rejection.reasons)
}
