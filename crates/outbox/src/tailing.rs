//! Publishes from the log of the server: the tailing publisher, beside the polling one and under the same lane, lease and cursor.
//!
//! Polling is what the relay does whenever it does not tail, so it never stands still and the log is never needed.
//!
//! **Entering.** While the relay polls, a task makes the slot and opens the log. A transaction that had an id by then may have escaped the
//! slot and yet not be visible: its commit is in the log, and its end is not told yet. So the relay polls on until all of those have ended
//! and it has published a snapshot that sees them. Then it reads the log and leaves out what that snapshot sees.
//!
//! **Tailing.** What the log brings is published in its order. Transactions of one key follow each other by the lock of its row, so their
//! commits, and with them the log, keep its order as positions do. Every second a mark is written to the log that carries a snapshot (see
//! `mark`); when all before it is published, the snapshot becomes the cursor. So tables rotate, and operators see how things stand.
//!
//! **Leaving.** A last mark, and when it is reached the slot is dropped, since one that nobody reads fills the disk. When anything else
//! ends it the relay polls from the last mark: what was published since then is published again, and nothing is skipped.

mod batch;
mod course;
mod mark;
mod marker;
mod pgoutput;
mod pump;
mod setback;
mod slot;
mod snapshot;
mod stream;

use crate::config::Publisher;
use crate::journal::Cursor;
use crate::lease::{Error, Lease, keeping};
use crate::relay::{BACKOFF, Relay};
use course::{Course, Ended};
use marker::Marker;
use messaging::MessageId;
use pgwire_replication::Lsn;
use pump::{Log, Pump};
use setback::{Setback, Trouble};
use slot::{Maker, Seen};
use snapshot::Snapshot;
use std::time::Duration;
use store::{PostgresAccess, Store};
use stream::Stream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

/// How often the database is asked how to publish, so that an operator's word counts within a second.
const LOOK_EVERY: Duration = Duration::from_millis(800);
/// Times that the log may be cut in a row before the relay polls for longer.
const CUTS_MAX: u32 = 5;
/// How long what was begun may take to end when the relay ends.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// Whether and how the log is tailed, for the holder of an epoch.
pub(crate) struct Tailing<'a> {
    relay: &'a Relay,
    access: PostgresAccess,
    epoch: i64,
    /// A name that only this relay knows.
    writer: String,
    seen: watch::Receiver<Option<Seen>>,
    _looking: JoinSet<()>,
    /// One thing at a time is made ready or done away with.
    work: JoinSet<Done>,
    ready: Option<Ready>,
    /// Whether the log was tailed under this epoch and the slot not given up since.
    had_slot: bool,
    /// What of it this relay has confirmed.
    confirmed: Option<Lsn>,
    not_before: Instant,
    cuts: u32,
}

/// A log that can be read.
pub(crate) struct Ready {
    stream: Stream,
    /// Transactions with a lower id may have escaped the slot; 0: none.
    after: u64,
    since: Instant,
}

/// What was done meanwhile.
enum Done {
    MadeReady(Result<Ready, Setback>),
    Dropped(Result<bool, store::Error>),
}

impl<'a> Tailing<'a> {
    /// `None` where there is no log.
    pub(crate) fn new(relay: &'a Relay, epoch: i64) -> Option<Self> {
        let Store::Postgres(postgres) = &relay.store else { return None };
        let (sender, seen) = watch::channel(None);
        let mut looking = JoinSet::new();
        looking.spawn(look_again_and_again(relay.store.clone(), sender));
        Some(Tailing {
            relay,
            access: postgres.access(),
            epoch,
            writer: MessageId::generate().to_string(),
            seen,
            _looking: looking,
            work: JoinSet::new(),
            ready: None,
            had_slot: false,
            confirmed: None,
            not_before: Instant::now(),
            cuts: 0,
        })
    }

    /// Takes the next step towards what is wanted; a log that can be read from this cursor on when all steps are taken.
    pub(crate) fn step(&mut self, cursor: &Cursor) -> Option<Ready> {
        while let Some(Ok(done)) = self.work.try_join_next() {
            self.settle(done);
        }
        let seen = self.seen.borrow().clone().filter(|seen| seen.epoch == self.epoch)?;
        if !self.wants(&seen) {
            self.ready = None;
            if seen.slot.is_some_and(|slot| slot.is_ours) && self.work.is_empty() {
                self.drop_slot();
            }
            return None;
        }
        if let Some(ready) = &self.ready {
            if seen.at > ready.since
                && let Some(trouble) = slot::judge(&seen, self.retained_bytes_max())
            {
                self.fall_back(&trouble);
                return None;
            }
            let published = Snapshot::parse(&cursor.from).filter(|_| cursor.to.is_none());
            return if published.is_some_and(|it| it.is_past(ready.after)) { self.ready.take() } else { None };
        }
        if self.work.is_empty() && self.not_before <= Instant::now() {
            self.make_ready();
        }
        None
    }

    /// Waits until there may be a step to take. Cancel safe: nothing is lost.
    pub(crate) async fn stirs(&mut self) {
        loop {
            tokio::select! {
                Some(Ok(done)) = self.work.join_next() => return self.settle(done),
                Ok(()) = self.seen.changed() => if self.has_step() { return },
                else => return std::future::pending().await,
            }
        }
    }

    /// Publishes what the log brings, until that ends for whatever reason.
    pub(crate) async fn tail(&mut self, lease: &mut Lease, ready: Ready) -> Result<(), Error> {
        let Ready { mut stream, since, .. } = ready;
        // What is left out of the log must be known to be published after a crash as well.
        lease.keep().await?;
        let Some(known) = Snapshot::parse(&lease.cursor().from) else { return Ok(()) };
        info!(epoch = self.epoch, "relay tails the log");
        self.had_slot = true;
        self.relay.metrics.tails(true);
        let course = Course::default();
        let ended = self.run(lease, Log { stream: &mut stream, known }, &course, since).await;
        self.relay.metrics.tails(false);
        self.confirmed = stream.confirmed.or(self.confirmed);
        drop(stream);
        if course.has_begun() {
            self.cuts = 0;
        }
        match ended {
            Ended::Left => keeping(lease, self.give_up_slot()).await,
            Ended::Setback(setback) => {
                self.set_back(setback);
                Ok(())
            }
            Ended::Failed(error) => Err(error),
        }
    }

    /// Leaves nothing behind that would keep the log, when the relay ends in order.
    pub(crate) async fn close(&mut self) {
        // A slot that is being made would be left behind.
        let settled = async { while self.work.join_next().await.is_some() {} };
        if timeout(CLOSE_WITHIN, settled).await.is_err() {
            warn!("a slot that is being made may be left behind");
        }
        self.ready = None;
        self.give_up_slot().await;
    }

    async fn run(&self, lease: &mut Lease, log: Log<'_>, course: &Course, since: Instant) -> Ended {
        let marker = Marker {
            store: &self.relay.store,
            drain: &self.relay.drain,
            course,
            writer: &self.writer,
            retained_bytes_max: self.retained_bytes_max(),
            seen: self.seen.clone(),
            since,
            number: 0,
        };
        let (bus, metrics) = (&self.relay.bus, &self.relay.metrics);
        let pump = Pump { bus, metrics, lease, log, course, untold: 0 };
        tokio::select! {
            biased;
            ended = pump.run() => ended,
            ended = marker.run(|seen| self.wants(seen)) => ended,
        }
    }

    /// Whether the log should be tailed.
    fn wants(&self, seen: &Seen) -> bool {
        let publisher = seen.publisher.unwrap_or(self.relay.config.publisher);
        publisher == Publisher::Tailing && !seen.is_paused && !self.relay.drain.is_requested()
    }

    /// Whether [`Tailing::step`] would do something.
    fn has_step(&self) -> bool {
        let seen = self.seen.borrow();
        let Some(seen) = seen.as_ref().filter(|seen| seen.epoch == self.epoch) else { return false };
        match (self.wants(seen), &self.ready) {
            (true, None) => self.work.is_empty() && self.not_before <= Instant::now(),
            (true, Some(_)) => slot::judge(seen, self.retained_bytes_max()).is_some(),
            (false, Some(_)) => true,
            (false, None) => self.work.is_empty() && seen.slot.as_ref().is_some_and(|slot| slot.is_ours),
        }
    }

    fn make_ready(&mut self) {
        let maker = Maker {
            store: self.relay.store.clone(),
            epoch: self.epoch,
            had_slot: self.had_slot,
            retained_bytes_max: self.retained_bytes_max(),
            drain: self.relay.drain.clone(),
        };
        let (access, writer, confirmed) = (self.access.clone(), self.writer.clone(), self.confirmed);
        self.work.spawn(async move { Done::MadeReady(open(&maker, &access, &writer, confirmed).await) });
    }

    fn drop_slot(&mut self) {
        let (store, epoch) = (self.relay.store.clone(), self.epoch);
        self.work.spawn(async move { Done::Dropped(slot::discard(&store, epoch).await) });
    }

    async fn give_up_slot(&mut self) {
        (self.had_slot, self.confirmed) = (false, None);
        let dropped = timeout(CLOSE_WITHIN, slot::discard(&self.relay.store, self.epoch)).await;
        self.settle(Done::Dropped(dropped.unwrap_or(Ok(false))));
    }

    fn settle(&mut self, done: Done) {
        match done {
            Done::MadeReady(Ok(ready)) => self.ready = Some(ready),
            Done::MadeReady(Err(setback)) => self.set_back(setback),
            Done::Dropped(Ok(true)) => {}
            Done::Dropped(Ok(false)) => warn!("the slot could not be dropped in time"),
            Done::Dropped(Err(error)) => {
                warn!(error = &error as &dyn std::error::Error, "the slot could not be dropped");
            }
        }
    }

    fn set_back(&mut self, setback: Setback) {
        match setback {
            Setback::Trouble(trouble) => self.fall_back(&trouble),
            Setback::Cut(cut) if self.cuts >= CUTS_MAX => self.fall_back(&Trouble::Broken(cut)),
            Setback::Cut(cut) => {
                warn!(error = &cut as &dyn std::error::Error, "the log was cut; relay polls until it is open again");
                self.relay.metrics.log_was_cut();
                self.not_before = Instant::now() + *BACKOFF.start() * 2_u32.pow(self.cuts);
                self.cuts += 1;
            }
        }
    }

    fn fall_back(&mut self, trouble: &Trouble) {
        let again = Duration::from_millis(self.relay.config.tail_again_ms);
        let (reason, error) = (trouble.reason(), trouble as &dyn std::error::Error);
        warn!(reason, error, again_ms = again.as_millis(), "relay falls back to polling");
        self.relay.metrics.fell_back(reason);
        (self.ready, self.had_slot, self.confirmed, self.cuts) = (None, false, None, 0);
        self.not_before = Instant::now() + again;
        self.drop_slot();
    }

    fn retained_bytes_max(&self) -> i64 {
        i64::try_from(self.relay.config.log_retained_bytes_max).unwrap_or(i64::MAX)
    }
}

/// Opens the log.
async fn open(maker: &Maker, access: &PostgresAccess, writer: &str, confirmed: Option<Lsn>) -> Result<Ready, Setback> {
    let seen = maker.make_ready().await?;
    let stream = Stream::open(access, &seen.name, writer).await?;
    // The slot that this relay has read before goes on where it was; one that was made anew would stand beyond that.
    let goes_on = maker.had_slot && confirmed >= seen.slot.map(|slot| slot.confirmed) && confirmed.is_some();
    let after = if goes_on { 0 } else { slot::next_transaction(&maker.store).await? };
    Ok(Ready { stream, after, since: Instant::now() })
}

async fn look_again_and_again(store: Store, seen: watch::Sender<Option<Seen>>) {
    loop {
        // Whatever keeps it from looking keeps the relay from publishing too, which says so.
        if let Ok(now) = slot::look(&store).await {
            seen.send_replace(Some(now));
        }
        sleep(LOOK_EVERY).await;
    }
}
