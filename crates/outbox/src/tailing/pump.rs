//! Publishes what the log brings: batch by batch, each in the order of the log, and the next one only when the bus has all of the last.
//!
//! While a batch is published the next one is gathered, up to the size of a page; beyond that the log waits, and the server with it. So a
//! transaction may be as large as it likes.

use super::batch::{Batch, Item, Reached};
use super::course::{Course, Ended};
use super::setback::Cut;
use super::snapshot::Snapshot;
use super::stream::Stream;
use crate::Metrics;
use crate::journal::Cursor;
use crate::lease::{Lease, keeping};
use crate::relay::{BACKOFF, acknowledged};
use futures_util::FutureExt;
use messaging::{Bus, Message};
use std::future::Future;
use std::mem::take;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// How long the log may be silent: four marks.
const SILENT_MAX: Duration = Duration::from_secs(20);

pub(super) struct Pump<'a> {
    pub(super) bus: &'a Bus,
    pub(super) metrics: &'a Metrics,
    pub(super) lease: &'a mut Lease,
    pub(super) log: Log<'a>,
    pub(super) course: &'a Course,
    /// Messages that were published and that the cursor does not tell of yet.
    pub(super) untold: usize,
}

/// What the log brings, without what is published already.
pub(super) struct Log<'a> {
    pub(super) stream: &'a mut Stream,
    /// What the polling publisher has published.
    pub(super) known: Snapshot,
}

impl Pump<'_> {
    /// Publishes until the last mark of the course is reached, or something ends it.
    pub(super) async fn run(mut self) -> Ended {
        match self.publish_all().await {
            Ok(()) => Ended::Left,
            Err(ended) => ended,
        }
    }

    async fn publish_all(&mut self) -> Result<(), Ended> {
        let mut batch = Batch::default();
        loop {
            if batch.is_empty() {
                batch.take(keeping(self.lease, self.log.next()).await??);
            }
            self.log.fill(&mut batch)?;
            batch = self.publish(batch).await?;
            if self.course.is_over() {
                return Ok(());
            }
        }
    }

    /// Publishes a batch, however often the bus refuses, and gathers the next one meanwhile.
    async fn publish(&mut self, mut batch: Batch) -> Result<Batch, Ended> {
        let (mut ahead, mut broken) = (Batch::default(), None);
        let (mut done, mut pause) = (0, *BACKOFF.start());
        self.reach(&mut batch, done);
        while done < batch.messages.len() {
            // Who slept past the end of its lease must not publish before it knows that nobody else does.
            if self.lease.is_doubtful() {
                self.lease.keep().await?;
            }
            let rest = batch.messages.get(done..).unwrap_or_default();
            let work = hearing(self.bus.publish(rest), &mut self.log, &mut ahead, &mut broken);
            match keeping(self.lease, work).await? {
                Ok(()) => {
                    self.count(rest);
                    done = batch.messages.len();
                }
                Err(error) => {
                    let stored = acknowledged(&error).min(rest.len());
                    self.count(rest.get(..stored).unwrap_or_default());
                    done += stored;
                    self.metrics.publish_failed();
                    self.metrics.publish_refused(&error);
                    warn!(error = &error as &dyn std::error::Error, "messages could not be published");
                    let rest = hearing(sleep(pause), &mut self.log, &mut ahead, &mut broken);
                    keeping(self.lease, rest).await?;
                    pause = if stored > 0 { *BACKOFF.start() } else { (pause * 2).min(*BACKOFF.end()) };
                }
            }
            self.reach(&mut batch, done);
        }
        broken.map_or(Ok(ahead), |cut: Cut| Err(cut.into()))
    }

    fn count(&mut self, published: &[Message]) {
        self.metrics.published(published.len());
        self.untold += published.len();
        if !published.is_empty() {
            self.course.published();
            self.lease.saw_messages();
        }
    }

    /// Notes that the first `count` messages of a batch are published: the server may forget them, and the cursor may stand at the mark
    /// behind them.
    fn reach(&mut self, batch: &mut Batch, count: usize) {
        let position = batch.position(count).unwrap_or(self.lease.cursor().position);
        let Reached { lsn, mark } = batch.reached(count);
        if let Some(mark) = mark {
            let cursor = Cursor { position, from: mark.snapshot, to: None, floor: mark.floor };
            self.lease.move_to(cursor, take(&mut self.untold));
            self.course.reached(mark.number);
        }
        if let Some(lsn) = lsn {
            self.log.stream.confirm(lsn);
        }
    }
}

impl Log<'_> {
    /// Waits for the next thing. Cancel safe: nothing is lost.
    async fn next(&mut self) -> Result<Item, Cut> {
        loop {
            let item = timeout(SILENT_MAX, self.stream.next()).await.map_err(|_elapsed| Cut::Silent(SILENT_MAX))??;
            match item {
                Item::Row(row) if self.known.sees(row.transaction) => {}
                item => return Ok(item),
            }
        }
    }

    /// Takes what is there already.
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Cut> {
        while !batch.is_full()
            && let Some(item) = self.next().now_or_never()
        {
            batch.take(item?);
        }
        Ok(())
    }
}

/// Does some work, and takes in what the log brings meanwhile, as far as there is room.
async fn hearing<T>(
    work: impl Future<Output = T>,
    log: &mut Log<'_>,
    ahead: &mut Batch,
    broken: &mut Option<Cut>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            item = log.next(), if broken.is_none() && !ahead.is_full() => match item {
                Ok(item) => {
                    ahead.take(item);
                    *broken = log.fill(ahead).err();
                }
                Err(cut) => *broken = Some(cut),
            },
        }
    }
}
