//! What an operator can ask of an outbox, and tell it; any process can that opens the database.

use crate::config::{Config, Publisher};
use crate::journal::LANE;
use crate::rows;
use crate::waiting::{Waiting, waiting};
use serde::Serialize;
use std::time::Duration;
use store::{Change, Dialect, Error, Row, Statement, Store};

/// Makes the relay stop publishing, whichever process it runs in, within a second.
///
/// # Errors
/// When the store cannot be written.
pub async fn pause(store: &Store) -> Result<(), Error> {
    set_paused(store, 1).await
}

/// Lets the relay publish again.
///
/// # Errors
/// When the store cannot be written.
pub async fn resume(store: &Store) -> Result<(), Error> {
    set_paused(store, 0).await
}

async fn set_paused(store: &Store, paused: i64) -> Result<(), Error> {
    let mut change = Change::new();
    let sql = "UPDATE outbox_cursor SET paused = ?2 WHERE lane = ?1";
    change.push(Statement::new(sql).bind(LANE).bind(paused));
    change.wake();
    store.commit(change).await.map(|_| ())
}

/// Makes the relay publish another way, whichever process it runs in, within a second and until it is switched again. With
/// [`Publisher::None`] it publishes as its configuration says.
///
/// # Errors
/// When the store cannot be written, or has no log that could be tailed.
pub async fn switch(store: &Store, publisher: Publisher) -> Result<(), Error> {
    if store.dialect() == Dialect::Sqlite {
        let config = Config { publisher, ..Config::default() };
        return config
            .fits(Dialect::Sqlite)
            .map_err(|no_log| Error::Setting { setting: "publisher", problem: no_log.to_string() });
    }
    let mut change = Change::new();
    let sql = "UPDATE outbox_cursor SET publisher = ?2 WHERE lane = ?1";
    change.push(Statement::new(sql).bind(LANE).bind(publisher.as_switch()));
    store.commit(change).await.map(|_| ())
}

/// What became of the wish to publish again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Replay {
    /// So many messages are to be published, at most 100,000 counted; consumers see what they saw before once more.
    Begun(i64),
    /// SQLite keeps no message that is published.
    NothingKept,
}

/// Publishes again what was created at or after `since_us`, in microseconds since 1970, as far as it is still in the tables: at least the
/// last minute. It begins with the first transaction that wrote such a message, so some that are older come along.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn replay(store: &Store, since_us: i64) -> Result<Replay, Error> {
    if store.dialect() == Dialect::Sqlite {
        return Ok(Replay::NothingKept);
    }
    let mut change = Change::new();
    change.push(Statement::new("SELECT outbox_replay(?1, ?2)").bind(LANE).bind(since_us));
    change.wake();
    store.commit(change).await?;
    Ok(Replay::Begun(waiting(store).await?.iter().map(|waiting| waiting.messages).sum()))
}

/// How an outbox stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// What is not published yet, by channel.
    pub waiting: Vec<Waiting>,
    /// Who publishes.
    pub holder: Option<Holder>,
    /// How often the lane changed hands.
    pub epoch: i64,
    /// Whether somebody has paused it.
    pub is_paused: bool,
    /// What somebody has switched it to; otherwise it does as its configuration says.
    pub switched_to: Option<Publisher>,
    /// Whether the log is being read.
    pub is_tailed: bool,
    /// The last position that was published.
    pub position: i64,
    /// The tables that messages rotate through; none with SQLite, which deletes them.
    pub slots: Vec<Slot>,
    /// The oldest transaction that has written something and is not at its end: messages of its own come when it ends, and a table that it
    /// wrote to is not emptied before. PostgreSQL only, and only those that this user may see.
    pub oldest_transaction: Option<OpenTransaction>,
}

/// The relay that holds the lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its process, and a name that no other has.
    pub owner: String,
    /// How long it has held the lane.
    pub held: Duration,
    /// Whether its lease is good; otherwise it has died, and nobody has taken over.
    pub is_alive: bool,
}

/// One table of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// Its number.
    pub slot: i64,
    /// Its size with its indexes.
    pub bytes: i64,
    /// Rows at most.
    pub rows: i64,
    /// Whether new messages go there.
    pub is_current: bool,
}

/// A transaction that is not at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenTransaction {
    /// The process of the server that it runs in.
    pub pid: i64,
    /// What its client calls itself.
    pub application: String,
    /// How long it has been open.
    pub open: Duration,
}

/// Reads how an outbox stands.
///
/// # Errors
/// When the store cannot be read.
pub async fn status(store: &Store) -> Result<Status, Error> {
    let cursor = Statement::new(
        "SELECT epoch, position, paused, owner, taken_us, until_us, CAST(unixepoch('subsec') * 1000000 AS INTEGER), '', 0
         FROM outbox_cursor WHERE lane = ?1",
    )
    .on_postgres(
        "SELECT epoch, position, paused, owner, taken_us, until_us, outbox_now_us(), publisher,
            CAST(EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = outbox_tail_slot() AND active) AS INT)
         FROM outbox_cursor WHERE lane = ?1",
    );
    let mut rows = store.query(cursor.bind(LANE)).await?;
    let row = rows.first_mut().ok_or(Error::Conflict { what: "the lane has a cursor" })?;
    let (epoch, position, paused): (i64, i64, i64) = (row.take(0)?, row.take(1)?, row.take(2)?);
    let (slots, oldest_transaction) = match store.dialect() {
        Dialect::Sqlite => (Vec::new(), None),
        Dialect::Postgres => (slots(store).await?, oldest_transaction(store).await?),
    };
    Ok(Status {
        waiting: waiting(store).await?,
        holder: holder(row)?,
        epoch,
        is_paused: paused != 0,
        switched_to: Publisher::switched_to(&row.take::<String>(7)?),
        is_tailed: row.take::<i64>(8)? != 0,
        position,
        slots,
        oldest_transaction,
    })
}

fn holder(row: &mut Row) -> Result<Option<Holder>, Error> {
    let owner: String = row.take(3)?;
    let (taken_us, until_us, now_us): (i64, i64, i64) = (row.take(4)?, row.take(5)?, row.take(6)?);
    let holder = Holder { owner, held: rows::duration(now_us - taken_us), is_alive: until_us > now_us };
    Ok((until_us > 0 && !holder.owner.is_empty()).then_some(holder))
}

async fn slots(store: &Store) -> Result<Vec<Slot>, Error> {
    let query = Statement::new(
        "SELECT s.slot, s.bytes, s.span, CAST(r.current = s.slot AS INT) FROM outbox_rotation r, (
            SELECT 0 AS slot, pg_total_relation_size('outbox_0') AS bytes,
                (SELECT COALESCE(max(position) - min(position) + 1, 0) FROM outbox_0) AS span
            UNION ALL SELECT 1, pg_total_relation_size('outbox_1'),
                (SELECT COALESCE(max(position) - min(position) + 1, 0) FROM outbox_1)
            UNION ALL SELECT 2, pg_total_relation_size('outbox_2'),
                (SELECT COALESCE(max(position) - min(position) + 1, 0) FROM outbox_2)
         ) s ORDER BY s.slot",
    );
    let slot = |mut row: Row| {
        Ok(Slot { slot: row.take(0)?, bytes: row.take(1)?, rows: row.take(2)?, is_current: row.take::<i64>(3)? != 0 })
    };
    store.query(query).await?.into_iter().map(slot).collect()
}

async fn oldest_transaction(store: &Store) -> Result<Option<OpenTransaction>, Error> {
    let query = Statement::new(
        "SELECT pid, COALESCE(application_name, ''),
            CAST(extract(epoch FROM clock_timestamp() - xact_start) * 1000000 AS BIGINT)
         FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL AND xact_start IS NOT NULL
         ORDER BY xact_start LIMIT 1",
    );
    let open = |mut row: Row| {
        Ok(OpenTransaction { pid: row.take(0)?, application: row.take(1)?, open: rows::duration(row.take(2)?) })
    };
    store.query(query).await?.pop().map(open).transpose()
}
