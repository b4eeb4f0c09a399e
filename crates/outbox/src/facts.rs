//! Asks the database and the bus how things stand, each within a bound of its own, so that one that hangs does not hide the others.

use crate::outcome::chain;
use crate::{Metrics, ParkedKeys, Status, parked_keys, probe, rows, status};
use messaging::Bus;
use std::future::Future;
use std::time::Duration;
use store::{Dialect, Error, Row, Statement, Store};
use tokio::time::{sleep, timeout};

/// How long one source may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// The time between two looks at a backlog: long enough for a consumer that runs to have handled something.
const LOOKS_APART: Duration = Duration::from_secs(1);
/// How long a reply may take before its command is overdue: some attempts have been made by then.
const OVERDUE_AFTER: Duration = Duration::from_secs(30);
/// Commands that are counted; beyond, this many are shown.
const COUNTED_MAX: i64 = 100_000;

/// What became of asking one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<T> {
    /// It answered.
    Said(T),
    /// It could not: why.
    Refused(String),
    /// It did not within its time.
    Silent,
}

/// What one process can find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether the broker is connected.
    pub is_connected: bool,
    /// The consumers of all channels.
    pub consumers: Vec<ConsumerFacts>,
    /// The services whose databases this process uses.
    pub services: Vec<ServiceFacts>,
}

/// One consumer of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerFacts {
    /// The channel.
    pub channel: String,
    /// Its name.
    pub consumer: String,
    /// The role that runs it.
    pub role: String,
    /// Whether this process runs it now.
    pub runs_here: bool,
    /// What it has before it, at two moments.
    pub backlog: Heard<Backlog>,
}

/// What a consumer has before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// At first.
    pub first: u64,
    /// Later.
    pub last: u64,
    /// The time between.
    pub within: Duration,
}

/// One service with its outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Its name.
    pub service: String,
    /// Whether this process runs a relay for it.
    pub publishes_here: bool,
    /// Whether its database can be written.
    pub database: Heard<()>,
    /// How its outbox stands.
    pub status: Heard<Status>,
    /// Why the bus last refused what this process published for it, and since when it does.
    pub refused: Option<(String, Duration)>,
    /// What its consumers have parked.
    pub parked: Heard<Vec<ParkedKeys>>,
    /// Commands whose reply is late.
    pub overdue: Heard<Vec<Overdue>>,
    /// Log slots of its database.
    pub slots: Heard<Vec<LogSlot>>,
    /// The time, in microseconds since 1970.
    pub now_us: i64,
}

/// Commands of one channel whose reply is late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The channel.
    pub channel: String,
    /// How many, at most 100,000 counted.
    pub commands: i64,
    /// How long the oldest has waited.
    pub oldest: Duration,
}

/// A slot through which a database's log is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSlot {
    /// Its name.
    pub name: String,
    /// Whether somebody reads it.
    pub is_read: bool,
    /// Whether the server has thrown away what was not read.
    pub is_lost: bool,
    /// Bytes of the log that are kept for it.
    pub retained_bytes: i64,
}

/// Whom to ask about one service.
#[derive(Debug)]
pub struct Asked {
    /// Its name.
    pub service: String,
    /// Its database, or why it cannot be opened.
    pub store: Result<Store, String>,
    /// What its outbox counts in this process.
    pub metrics: Metrics,
    /// Whether this process runs a relay for it.
    pub publishes_here: bool,
}

/// Asks about one service: 2 s for each source, all at once.
pub async fn service_facts(asked: Asked) -> ServiceFacts {
    let Asked { service, store, metrics, publishes_here } = asked;
    let now_us = rows::now_us();
    let refused = metrics.refused();
    let store = match store {
        Ok(store) => store,
        Err(why) => {
            let silent = (Heard::Silent, Heard::Silent, Heard::Silent, Heard::Silent);
            let (status, parked, overdue, slots) = silent;
            let database = Heard::Refused(why);
            return ServiceFacts { service, publishes_here, database, status, refused, parked, overdue, slots, now_us };
        }
    };
    let (database, status, parked, overdue, slots) = tokio::join!(
        heard(probe(&store)),
        heard(status(&store)),
        heard(parked_keys(&store)),
        heard(overdue(&store, now_us)),
        heard(log_slots(&store)),
    );
    ServiceFacts { service, publishes_here, database, status, refused, parked, overdue, slots, now_us }
}

/// Asks the bus what a consumer has before it, twice. `role` is what runs it, and `runs_here` whether this process does.
pub async fn consumer_facts(bus: &Bus, channel: &str, consumer: &str, role: &str, runs_here: bool) -> ConsumerFacts {
    let backlog = async {
        let first = match heard(bus.backlog(channel, consumer)).await {
            Heard::Said(first) => first,
            Heard::Refused(why) => return Heard::Refused(why),
            Heard::Silent => return Heard::Silent,
        };
        if first == 0 {
            return Heard::Said(Backlog { first, last: 0, within: LOOKS_APART });
        }
        sleep(LOOKS_APART).await;
        match heard(bus.backlog(channel, consumer)).await {
            Heard::Said(last) => Heard::Said(Backlog { first, last, within: LOOKS_APART }),
            Heard::Refused(why) => Heard::Refused(why),
            Heard::Silent => Heard::Silent,
        }
    };
    ConsumerFacts {
        channel: channel.to_owned(),
        consumer: consumer.to_owned(),
        role: role.to_owned(),
        runs_here,
        backlog: backlog.await,
    }
}

async fn heard<T, E: std::error::Error + 'static>(question: impl Future<Output = Result<T, E>>) -> Heard<T> {
    match timeout(ANSWERED_WITHIN, question).await {
        Ok(Ok(answer)) => Heard::Said(answer),
        Ok(Err(error)) => Heard::Refused(chain(&error)),
        Err(_elapsed) => Heard::Silent,
    }
}

async fn overdue(store: &Store, now_us: i64) -> Result<Vec<Overdue>, Error> {
    let query = Statement::new(
        "SELECT channel, count(*), min(since_us) FROM (SELECT channel, since_us FROM obligation WHERE since_us < ?1 LIMIT ?2) AS late
         GROUP BY channel ORDER BY channel",
    );
    let before_us = now_us.saturating_sub(rows::micros(OVERDUE_AFTER));
    let overdue = |mut row: Row| {
        let (channel, commands) = (row.take(0)?, row.take(1)?);
        Ok(Overdue { channel, commands, oldest: rows::duration(now_us.saturating_sub(row.take(2)?)) })
    };
    store.query(query.bind(before_us).bind(COUNTED_MAX)).await?.into_iter().map(overdue).collect()
}

/// The logical slots of the database; none with SQLite.
async fn log_slots(store: &Store) -> Result<Vec<LogSlot>, Error> {
    if store.dialect() == Dialect::Sqlite {
        return Ok(Vec::new());
    }
    let query = Statement::new(
        "SELECT slot_name, CAST(active AS INT), CASE WHEN wal_status = 'lost' THEN 1 ELSE 0 END, COALESCE(CAST(pg_wal_lsn_diff(
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn) AS BIGINT), 0)
         FROM pg_replication_slots WHERE database = current_database() ORDER BY slot_name",
    );
    let slot = |mut row: Row| {
        Ok(LogSlot {
            name: row.take(0)?,
            is_read: row.take::<i64>(1)? != 0,
            is_lost: row.take::<i64>(2)? != 0,
            retained_bytes: row.take(3)?,
        })
    };
    store.query(query).await?.into_iter().map(slot).collect()
}
