//! Consumers as rows.

use crate::Error;
use crate::domain::{Consumer, Name, Profile, State};
use proto::page::Page;
use proto::time::Instant;
use proto::{Amount, ConsumerId, money};
use store::{Change, Migration, Row, Statement, Store};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "consumers",
    sqlite: include_str!("migrations/0001_consumers.sql"),
    postgres: Some(include_str!("migrations/0001_consumers.postgres.sql")),
}];

/// Sorts after every id, which has 16 bytes.
const AFTER_ALL_IDS: [u8; 17] = [0xff; 17];

/// Brings the tables of this crate up to date.
pub(crate) async fn migrate(store: &Store) -> Result<(), store::Error> {
    outbox::migrate(store).await?;
    store.migrate("consumer", MIGRATIONS).await
}

/// Reads one consumer.
pub(crate) async fn load(store: &Store, consumer_id: ConsumerId) -> Result<Option<Consumer>, Error> {
    let query = Statement::new(
        "SELECT consumer_id, version, name, state, order_limit_minor, order_limit_currency, create_us, update_us
         FROM consumer WHERE consumer_id = ?1",
    );
    let rows = store.query(query.bind(consumer_id.to_bytes())).await;
    rows.and_then(|mut rows| rows.pop().map(read).transpose()).map_err(|source| Error::Load { consumer_id, source })
}

/// Reads the consumers of a page, newest first, and one more when there are more.
pub(crate) async fn list(store: &Store, page: &Page) -> Result<Vec<Consumer>, Error> {
    let query = Statement::new(
        "SELECT consumer_id, version, name, state, order_limit_minor, order_limit_currency, create_us, update_us
         FROM consumer WHERE consumer_id < ?1 ORDER BY consumer_id DESC LIMIT ?2",
    );
    let before = page.after.map_or_else(|| AFTER_ALL_IDS.to_vec(), |id| id.to_vec());
    let rows = store.query(query.bind(before).bind(page.size.saturating_add(1))).await;
    rows.and_then(|rows| rows.into_iter().map(read).collect()).map_err(Error::List)
}

/// Adds to a change that a consumer is there.
pub(crate) fn insert(change: &mut Change, consumer: &Consumer) {
    let sql = "INSERT INTO consumer
        (consumer_id, version, name, state, order_limit_minor, order_limit_currency, update_us, create_us)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    change.push(bind(Statement::new(sql), consumer).bind(consumer.create_time.0));
}

/// Adds to a change that a consumer has become `consumer`, provided that its version was the one before.
pub(crate) fn update(change: &mut Change, consumer: &Consumer) {
    let sql = "UPDATE consumer SET version = ?2, name = ?3, state = ?4, order_limit_minor = ?5,
        order_limit_currency = ?6, update_us = ?7 WHERE consumer_id = ?1 AND version + 1 = ?2";
    change.push(bind(Statement::new(sql), consumer).expecting(1, "the consumer is as it was read"));
}

/// Binds `consumer_id, version, name, state, order_limit_minor, order_limit_currency, update_us`, in this order.
fn bind(statement: Statement, consumer: &Consumer) -> Statement {
    let Profile { name, state, order_limit } = &consumer.profile;
    statement
        .bind(consumer.id.to_bytes())
        .bind(consumer.version)
        .bind(name.as_str())
        .bind(state_text(*state))
        .bind(order_limit.map(|limit| limit.minor))
        .bind(order_limit.map(|limit| limit.currency.code()))
        .bind(consumer.update_time.0)
}

fn read(mut row: Row) -> Result<Consumer, store::Error> {
    let not = |column, expected| store::Error::Column { column, expected };
    let id: Vec<u8> = row.take(0)?;
    let name: String = row.take(2)?;
    let state: String = row.take(3)?;
    Ok(Consumer {
        id: ConsumerId::from_slice(&id).ok_or(not(0, "16 bytes"))?,
        version: row.take(1)?,
        profile: Profile {
            name: Name::stored(name),
            state: state_of(&state).ok_or(not(3, "a state"))?,
            order_limit: read_limit(row.take(4)?, row.take(5)?).map_err(|_| not(5, "a currency"))?,
        },
        create_time: Instant(row.take(6)?),
        update_time: Instant(row.take(7)?),
    })
}

fn read_limit(minor: Option<i64>, currency: Option<String>) -> Result<Option<Amount>, proto::Violation> {
    let (Some(minor), Some(currency)) = (minor, currency) else { return Ok(None) };
    Ok(Some(Amount::new(minor, money::parse_currency("currency", &currency)?)))
}

fn state_text(state: State) -> &'static str {
    match state {
        State::Active => "ACTIVE",
        State::Suspended => "SUSPENDED",
    }
}

fn state_of(text: &str) -> Option<State> {
    [State::Active, State::Suspended].into_iter().find(|state| state_text(*state) == text)
}
