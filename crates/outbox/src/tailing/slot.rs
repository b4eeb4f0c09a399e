//! The slot that keeps the log: how it stands, and what is to be done about it.

use super::setback::{Cut, Setback, Trouble};
use super::snapshot::Snapshot;
use crate::Publisher;
use crate::journal::LANE;
use lifecycle::Drain;
use pgwire_replication::Lsn;
use std::time::Duration;
use store::{Change, Error, Row, Statement, Store};
use tokio::time::{Instant, sleep};

/// How often a slot is looked at that somebody is about to leave.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How often at most: 2 s for a line to end.
const LOOKS_MAX: usize = 40;
/// How often it is looked whether what was running has ended.
const WAIT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What the database says about how to publish, and how the log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// When it was asked.
    pub(super) at: Instant,
    pub(super) epoch: i64,
    pub(super) is_paused: bool,
    /// What somebody has switched to.
    pub(super) publisher: Option<Publisher>,
    /// Whether the server keeps a logical log.
    pub(super) has_log: bool,
    pub(super) is_published: bool,
    /// What the slot of this database is called.
    pub(super) name: String,
    pub(super) slot: Option<Slot>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// Whether it is for this database and of the right kind.
    pub(super) is_ours: bool,
    pub(super) is_read: bool,
    /// Whether the server has thrown away what was not read.
    pub(super) is_lost: bool,
    pub(super) retained_bytes: i64,
    /// What its readers have confirmed.
    pub(super) confirmed: Lsn,
}

/// What comes next on the way to a log that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Say what the log is to tell.
    Publish,
    /// Make the slot.
    Create,
    /// End the line of whoever reads it: a relay that was replaced.
    Free,
    /// Drop it.
    Drop,
    /// Read.
    Open,
}

/// Whose the slot is that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Some other relay's, which has left it behind; or there is none.
    Unknown,
    /// This relay has just made it.
    Made,
    /// This relay has read it before, so that it must be there.
    Read,
}

/// Decides what comes next.
pub(super) fn next_step(seen: &Seen, origin: Origin, retained_bytes_max: i64) -> Result<Step, Trouble> {
    if !seen.has_log {
        return Err(Trouble::NoLog);
    }
    match &seen.slot {
        None if origin == Origin::Read => Err(Trouble::Gone),
        None if !seen.is_published => Ok(Step::Publish),
        None => Ok(Step::Create),
        Some(slot) if !slot.is_ours => Err(Trouble::Foreign),
        Some(slot) if slot.is_read => Ok(Step::Free),
        // What it holds from before is polled. To read it as well, all that the server wrote since then would have to be decoded once more:
        // by every relay that takes over, and while its messages wait.
        Some(_) if origin == Origin::Unknown => Ok(Step::Drop),
        Some(_) => judge(seen, retained_bytes_max).map_or(Ok(Step::Open), Err),
    }
}

/// What is wrong with a slot that is being read.
pub(super) fn judge(seen: &Seen, retained_bytes_max: i64) -> Option<Trouble> {
    match &seen.slot {
        None => Some(Trouble::Gone),
        Some(slot) if !slot.is_ours => Some(Trouble::Foreign),
        Some(slot) if slot.is_lost => Some(Trouble::Lost),
        Some(Slot { retained_bytes, .. }) if *retained_bytes > retained_bytes_max => {
            Some(Trouble::Retained { retained_bytes: *retained_bytes, retained_bytes_max })
        }
        Some(_) if !seen.is_published => Some(Trouble::Unpublished),
        Some(_) => None,
    }
}

/// Asks the database.
pub(super) async fn look(store: &Store) -> Result<Seen, Error> {
    let query = Statement::new(
        "SELECT c.epoch, c.paused, c.publisher, CAST(current_setting('wal_level') = 'logical' AS INT),
            CAST(outbox_tail_is_published() AS INT), outbox_tail_slot(),
            CAST(s.slot_name IS NOT NULL AS INT),
            CAST(COALESCE(s.database = current_database() AND s.plugin = 'pgoutput', false) AS INT), CAST(s.active AS INT),
            CAST(COALESCE(s.wal_status = 'lost', false) AS INT),
            COALESCE(CAST(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) AS BIGINT), 0),
            COALESCE(CAST(pg_wal_lsn_diff(s.confirmed_flush_lsn, '0/0') AS BIGINT), 0)
         FROM outbox_cursor c LEFT JOIN pg_replication_slots s ON s.slot_name = outbox_tail_slot() WHERE c.lane = ?1",
    );
    let at = Instant::now();
    let mut rows = store.query(query.bind(LANE)).await?;
    let row = rows.first_mut().ok_or(Error::Conflict { what: "the lane has a cursor" })?;
    let slot = match flag(row, 6)? {
        false => None,
        true => Some(Slot {
            is_ours: flag(row, 7)?,
            is_read: flag(row, 8)?,
            is_lost: flag(row, 9)?,
            retained_bytes: row.take(10)?,
            confirmed: Lsn(row.take::<i64>(11)?.cast_unsigned()),
        }),
    };
    Ok(Seen {
        at,
        epoch: row.take(0)?,
        is_paused: flag(row, 1)?,
        publisher: Publisher::switched_to(&row.take::<String>(2)?),
        has_log: flag(row, 3)?,
        is_published: flag(row, 4)?,
        name: row.take(5)?,
        slot,
    })
}

fn flag(row: &mut Row, column: usize) -> Result<bool, Error> {
    Ok(row.take::<i64>(column)? != 0)
}

/// Whoever makes the slot ready.
#[derive(Debug, Clone)]
pub(super) struct Maker {
    pub(super) store: Store,
    pub(super) epoch: i64,
    pub(super) had_slot: bool,
    pub(super) retained_bytes_max: i64,
    pub(super) drain: Drain,
}

impl Maker {
    /// Does what is needed for the log to be read; returns how things stand then. Safe to do again at any time.
    pub(super) async fn make_ready(&self) -> Result<Seen, Setback> {
        let mut origin = if self.had_slot { Origin::Read } else { Origin::Unknown };
        for _ in 0..LOOKS_MAX {
            let seen = look(&self.store).await?;
            if seen.epoch != self.epoch {
                return Err(Cut::InUse.into());
            }
            match next_step(&seen, origin, self.retained_bytes_max)? {
                Step::Publish => commit(&self.store, Statement::new("SELECT outbox_tail_publish()")).await?,
                Step::Create => {
                    self.create().await?;
                    origin = Origin::Made;
                }
                Step::Free => {
                    commit(&self.store, free(self.epoch)).await?;
                    sleep(LOOK_AGAIN_AFTER).await;
                }
                Step::Drop => commit(&self.store, drop_it(self.epoch)).await?,
                Step::Open => return Ok(seen),
            }
        }
        Err(Cut::InUse.into())
    }

    /// Makes the slot when what is running has ended, as it would wait for that with a line and a snapshot; what has begun since, it waits
    /// for, but for none longer than a second. By a line that reads, since it must not be within a transaction that writes; and not within
    /// a function, where PostgreSQL 15 now and then loses track of the snapshots that it takes.
    async fn create(&self) -> Result<(), Setback> {
        let running = next_transaction(&self.store).await?;
        loop {
            let mut rows = self.store.query(Statement::new("SELECT CAST(pg_current_snapshot() AS TEXT)")).await?;
            let snapshot: String = rows.first_mut().map_or(Ok(String::new()), |row| row.take(0))?;
            if Snapshot::parse(&snapshot).is_some_and(|now| now.is_past(running)) {
                break;
            }
            if self.drain.is_requested() {
                return Err(Cut::Ended.into());
            }
            sleep(WAIT_AGAIN_AFTER).await;
        }
        let create = "SELECT made.slot_name FROM (SELECT set_config('lock_timeout', '1s', true) AS timeout) AS setting,
            LATERAL pg_create_logical_replication_slot(outbox_tail_slot() || left(setting.timeout, 0), 'pgoutput') AS made";
        self.store.query(Statement::new(create)).await?;
        Ok(())
    }
}

/// Drops the slot, and waits until it is gone; false when it is still there after 2 s.
pub(super) async fn discard(store: &Store, epoch: i64) -> Result<bool, Error> {
    for _ in 0..LOOKS_MAX {
        let seen = look(store).await?;
        match seen.slot.filter(|slot| slot.is_ours && seen.epoch == epoch) {
            None => return Ok(true),
            Some(Slot { is_read: false, .. }) => commit(store, drop_it(epoch)).await?,
            Some(Slot { is_read: true, .. }) => {
                commit(store, free(epoch)).await?;
                sleep(LOOK_AGAIN_AFTER).await;
            }
        }
    }
    Ok(false)
}

/// The next id of a transaction: every transaction that has one now has a lower one.
pub(super) async fn next_transaction(store: &Store) -> Result<u64, Error> {
    let mut rows = store.query(Statement::new("SELECT CAST(pg_current_xact_id() AS TEXT)")).await?;
    let text: String = rows.first_mut().map_or(Ok(String::new()), |row| row.take(0))?;
    text.parse().map_err(|_| Error::Column { column: 0, expected: "the id of a transaction" })
}

fn free(epoch: i64) -> Statement {
    Statement::new("SELECT outbox_tail_free(?1, ?2)").bind(LANE).bind(epoch)
}

fn drop_it(epoch: i64) -> Statement {
    Statement::new("SELECT outbox_tail_drop(?1, ?2)").bind(LANE).bind(epoch)
}

async fn commit(store: &Store, statement: Statement) -> Result<(), Error> {
    let mut change = Change::new();
    change.push(statement);
    // These lock what others would wait for.
    change.keep_alone();
    store.commit(change).await.map(|_| ())
}

#[cfg(test)]
mod tests;
