//! Moves messages from the outbox to the bus: the polling publisher.
//!
//! It publishes in the order of positions, a batch at a time, and goes on only when the bus has all of a batch, so the order of a key
//! survives every retry. Its place is one row, written lazily and only by the holder of the newest epoch: what was published since the
//! last write is published again after a crash, and a relay that was replaced changes nothing.

use crate::{Config, Metrics, rows};
use lifecycle::Drain;
use messaging::{Bus, Message};
use std::time::Duration;
use store::{Change, Statement, Store};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

/// Messages published at once: 256 x ~1 KiB = 256 KiB in memory.
const BATCH_MAX: usize = 256;
/// How long the place may stay unwritten; what is published in this time is published again after a crash.
const PLACE_UNWRITTEN_MAX: Duration = Duration::from_millis(100);
/// Published rows that may stay in the table unwritten: bounds the rows of one delete.
const PLACE_UNWRITTEN_ROWS_MAX: i64 = 1024;
/// The pause after a failure, doubled up to the limit.
const BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(2);

/// Why the relay had to start over.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to read or write the outbox")]
    Store(#[from] store::Error),
    #[error("failed to publish")]
    Bus(#[from] messaging::Error),
}

/// Runs the relay of one store until it is asked to drain. A fault is logged and tried again.
pub async fn relay(store: Store, bus: Bus, config: Config, metrics: Metrics, drain: Drain) {
    let mut pause = *BACKOFF.start();
    while !drain.is_requested() {
        let started = Instant::now();
        match run(&store, &bus, &config, &metrics, &drain).await {
            Ok(()) => return,
            Err(error) => warn!(error = &error as &dyn std::error::Error, "relay interrupted"),
        }
        if started.elapsed() > *BACKOFF.end() {
            pause = *BACKOFF.start();
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(*BACKOFF.end()),
            () = drain.requested() => {}
        }
    }
}

async fn run(store: &Store, bus: &Bus, config: &Config, metrics: &Metrics, drain: &Drain) -> Result<(), Error> {
    let mut place = Place::take(store).await?;
    let mut woken = store.woken();
    let poll = Duration::from_millis(config.poll_ms);
    loop {
        woken.mark_unchanged();
        let (last, batch) = read_after(store, place.position).await?;
        if batch.is_empty() {
            if drain.is_requested() {
                place.write(store).await?;
                return Ok(());
            }
            tokio::select! {
                changed = woken.changed() => changed.map_err(|_closed| store::Error::Closed)?,
                () = sleep_until(place.write_at()) => place.write(store).await?,
                () = sleep(poll) => {}
                () = drain.requested() => {}
            }
            continue;
        }
        bus.publish(&batch).await?;
        metrics.published(batch.len());
        place.move_to(last);
        if place.is_write_due() {
            place.write(store).await?;
        }
    }
}

async fn read_after(store: &Store, position: i64) -> Result<(i64, Vec<Message>), store::Error> {
    let query = Statement::new(
        "SELECT position, message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload
         FROM outbox WHERE position > ?1 ORDER BY position LIMIT ?2",
    );
    let mut last = position;
    let mut batch = Vec::new();
    for mut row in store.query(query.bind(position).bind(i64::try_from(BATCH_MAX).unwrap_or(i64::MAX))).await? {
        last = row.take(0)?;
        batch.push(rows::read(&mut row, 1)?);
    }
    Ok((last, batch))
}

/// Up to where everything is published, and the right to say so.
struct Place {
    epoch: i64,
    position: i64,
    written: i64,
    moved_at: Option<Instant>,
}

impl Place {
    /// Becomes the holder, and makes every earlier holder powerless.
    async fn take(store: &Store) -> Result<Self, store::Error> {
        let mut found = store.query(Statement::new("SELECT epoch, position FROM outbox_cursor WHERE lane = 0")).await?;
        let row = found.first_mut().ok_or(store::Error::Conflict { what: "the lane has a cursor" })?;
        let (epoch, position): (i64, i64) = (row.take(0)?, row.take(1)?);
        let mut change = Change::new();
        let sql = "UPDATE outbox_cursor SET epoch = ?1 + 1 WHERE lane = 0 AND epoch = ?1";
        change.push(Statement::new(sql).bind(epoch).expecting(1, "the lease of the lane is free"));
        store.commit(change).await?;
        info!(epoch = epoch + 1, position, "relay took over");
        Ok(Place { epoch: epoch + 1, position, written: position, moved_at: None })
    }

    fn move_to(&mut self, position: i64) {
        self.position = position;
        self.moved_at.get_or_insert_with(Instant::now);
    }

    fn write_at(&self) -> Instant {
        let far = Duration::from_secs(3600);
        self.moved_at.map_or_else(|| Instant::now() + far, |at| at + PLACE_UNWRITTEN_MAX)
    }

    fn is_write_due(&self) -> bool {
        self.position - self.written >= PLACE_UNWRITTEN_ROWS_MAX || self.write_at() <= Instant::now()
    }

    /// Writes the place and drops the rows that are published.
    async fn write(&mut self, store: &Store) -> Result<(), store::Error> {
        if self.position == self.written {
            return Ok(());
        }
        let mut change = Change::new();
        let sql = "UPDATE outbox_cursor SET position = ?2 WHERE lane = 0 AND epoch = ?1";
        change
            .push(Statement::new(sql).bind(self.epoch).bind(self.position).expecting(1, "this relay holds the lease"));
        change.push(Statement::new("DELETE FROM outbox WHERE position <= ?1").bind(self.position));
        store.commit(change).await?;
        (self.written, self.moved_at) = (self.position, None);
        Ok(())
    }
}
