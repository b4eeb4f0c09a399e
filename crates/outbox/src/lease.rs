//! The right to publish: one relay at a time holds the lane, for as long as it shows that it lives.
//!
//! The clock is the database's, so that no two machines need to agree. The lease keeps two relays from publishing at once; what keeps the
//! cursor right is the epoch, which every write names: whoever was replaced changes nothing, however late it wakes up.

use crate::journal::{self, Cursor, LANE, Mark, Page};
use crate::rows;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use store::{Change, Statement, Store};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{info, warn};

/// How long a lease is good without being renewed. Together with the pause between two tries to take it, a dead relay is replaced within 3 s.
const LEASE: Duration = Duration::from_secs(2);
/// How often it is renewed: one renewal may fail before the lease runs out.
const RENEWED_EVERY: Duration = Duration::from_secs(1);
/// How often a relay looks whether the lane is free.
const ASKED_EVERY: Duration = Duration::from_millis(500);
/// How long the cursor may stay unwritten; what is published in this time is published again after a crash.
const UNWRITTEN_MAX: Duration = Duration::from_millis(100);
/// Published rows after which the cursor is written: bounds the rows that one DELETE of SQLite takes, and those that a page of PostgreSQL
/// passes over.
const UNWRITTEN_ROWS_MAX: usize = 1024;
/// How often room is made of what is published, while messages flow.
const ROOM_EVERY: Duration = Duration::from_secs(1);
/// How long after the last message room is still made: until the last table is old enough to be left, and emptied.
const ROOM_UNTIL: Duration = Duration::from_secs(180);

/// Why a relay has to start over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to read or write the outbox")]
    Store(#[from] store::Error),
    #[error("failed to publish")]
    Bus(#[from] messaging::Error),
    #[error("another relay holds the lane, or the database forgot this one")]
    Lost,
}

/// The lane, held.
#[derive(Debug)]
pub(crate) struct Lease {
    store: Store,
    epoch: i64,
    cursor: Cursor,
    written: Cursor,
    unwritten_rows: usize,
    moved_at: Option<Instant>,
    /// Before the last renewal was asked for that succeeded: from then on the lease is good for [`LEASE`].
    renewed_at: Instant,
    room_at: Instant,
    last_message_at: Instant,
}

impl Lease {
    /// Takes the lane if it is free, and makes every earlier holder powerless. Otherwise says when to ask again.
    pub(crate) async fn take(store: &Store, owner: &str) -> Result<Result<Self, Duration>, store::Error> {
        let now = Instant::now();
        let sqlite = "UPDATE outbox_cursor SET owner = ?2, epoch = epoch + 1, taken_us = CAST(unixepoch('subsec') * 1000000 AS INTEGER),
            until_us = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + ?3
            WHERE lane = ?1 AND (owner = ?2 OR until_us <= CAST(unixepoch('subsec') * 1000000 AS INTEGER))";
        let postgres = "UPDATE outbox_cursor SET owner = ?2, epoch = epoch + 1, taken_us = outbox_now_us(), until_us = outbox_now_us() + ?3
            WHERE lane = ?1 AND (owner = ?2 OR until_us <= outbox_now_us())";
        let take = Statement::new(sqlite).on_postgres(postgres).bind(LANE).bind(owner).bind(rows::micros(LEASE));
        let mut change = Change::new();
        change.push(take.expecting(1, "the lane is free"));
        journal::begin(&mut change, store.dialect());
        match store.commit(change).await {
            Ok(_) => {}
            Err(store::Error::Conflict { .. }) => return Ok(Err(ASKED_EVERY)),
            Err(error) => return Err(error),
        }
        let (epoch, cursor) = journal::stands(store).await?;
        info!(epoch, position = cursor.position, "relay took the lane");
        Ok(Ok(Lease {
            store: store.clone(),
            epoch,
            written: cursor.clone(),
            cursor,
            unwritten_rows: 0,
            moved_at: None,
            renewed_at: now,
            room_at: now,
            last_message_at: now,
        }))
    }

    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    pub(crate) fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Notes that so many more messages are published, up to `cursor`.
    pub(crate) fn move_to(&mut self, cursor: Cursor, messages: usize) {
        self.cursor = cursor;
        if messages > 0 {
            let now = Instant::now();
            self.moved_at.get_or_insert(now);
            self.last_message_at = now;
            self.unwritten_rows += messages;
        }
    }

    /// Notes that messages were published of which the cursor does not tell yet.
    pub(crate) fn saw_messages(&mut self) {
        self.last_message_at = Instant::now();
    }

    /// Notes that there was nothing to publish.
    pub(crate) fn saw_nothing(&mut self, page: &Page) {
        self.cursor = self.cursor.after(page);
    }

    /// Whether it was not renewed in time, so that nothing may be published before it is known that nobody else publishes.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.renewed_at + RENEWED_EVERY <= Instant::now()
    }

    /// When [`Lease::keep`] is to be called.
    pub(crate) fn due_at(&self) -> Instant {
        // Within a batch of PostgreSQL a page passes over nothing, and nothing is deleted, so the rows do not matter.
        if self.unwritten_rows >= UNWRITTEN_ROWS_MAX && self.cursor.to.is_none() {
            return Instant::now();
        }
        let renewal = self.renewed_at + RENEWED_EVERY;
        self.moved_at.map_or(renewal, |at| renewal.min(at + UNWRITTEN_MAX))
    }

    /// Renews the lease and writes the cursor, and now and then makes room.
    ///
    /// Cancel safe: what was not confirmed is done again.
    pub(crate) async fn keep(&mut self) -> Result<(), Error> {
        self.write(LEASE).await?;
        let now = Instant::now();
        if self.room_at + ROOM_EVERY > now || self.last_message_at + ROOM_UNTIL < now {
            return Ok(());
        }
        self.room_at = now;
        let mut change = Change::new();
        if journal::make_room(&mut change, self.store.dialect(), self.epoch) {
            // Not worth the lane: what is not done now is done next time.
            match timeout(RENEWED_EVERY / 2, self.store.commit(change)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    warn!(error = &error as &dyn std::error::Error, "published rows could not be dropped");
                }
                Err(_elapsed) => warn!("published rows could not be dropped in time"),
            }
        }
        Ok(())
    }

    /// Writes the cursor and gives the lane to whoever comes.
    pub(crate) async fn release(&mut self) -> Result<(), Error> {
        self.write(Duration::ZERO).await
    }

    async fn write(&mut self, lease: Duration) -> Result<(), Error> {
        let asked_at = Instant::now();
        let mark = Mark {
            epoch: self.epoch,
            cursor: &self.cursor,
            has_moved: self.cursor.position != self.written.position,
            lease_us: rows::micros(lease),
        };
        let mut change = Change::new();
        journal::write(&mut change, self.store.dialect(), &mark);
        // Never waits beyond its own end: whoever waits may be publishing.
        let deadline = (self.renewed_at + LEASE).max(asked_at + RENEWED_EVERY / 2);
        match timeout_at(deadline, self.store.commit(change)).await {
            Ok(Ok(_)) => {}
            Ok(Err(store::Error::Conflict { .. })) | Err(_) => return Err(Error::Lost),
            Ok(Err(error)) => return Err(error.into()),
        }
        self.renewed_at = asked_at;
        self.written = self.cursor.clone();
        (self.moved_at, self.unwritten_rows) = (None, 0);
        Ok(())
    }
}

/// Does some work and keeps the lane meanwhile; the work is dropped when the lane is lost.
pub(crate) async fn keeping<T>(lease: &mut Lease, work: impl Future<Output = T>) -> Result<T, Error> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            () = sleep_until(lease.due_at()) => {}
            done = &mut work => return Ok(done),
        }
        let mut done = None;
        {
            let mut keep = pin!(lease.keep());
            loop {
                tokio::select! {
                    kept = &mut keep => break kept?,
                    result = &mut work, if done.is_none() => done = Some(result),
                }
            }
        }
        if let Some(done) = done {
            return Ok(done);
        }
    }
}

/// A name that no other relay has, and that tells an operator where to look.
pub(crate) fn owner() -> String {
    format!("process {} {}", std::process::id(), messaging::MessageId::generate())
}
