//! Marks the log while it is tailed, looks whether it should be, and brings it to an end.

use super::course::{Course, Ended};
use super::mark;
use super::slot::{Seen, judge};
use lifecycle::Drain;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::info;

/// How often the log is marked while messages flow. 1 s: what a fall-back publishes again, and what an operator sees as unpublished.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// How often it is marked otherwise. 5 s: the server can forget what other databases write, and a line that swallows everything is noticed.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// How long tailing may take to come to its end, which is some milliseconds unless the bus refuses. What is cut off then is polled.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Marker<'a> {
    pub(super) store: &'a Store,
    pub(super) drain: &'a Drain,
    pub(super) course: &'a Course,
    pub(super) writer: &'a str,
    pub(super) retained_bytes_max: i64,
    pub(super) seen: watch::Receiver<Option<Seen>>,
    /// What was seen before is not about this time of tailing.
    pub(super) since: Instant,
    pub(super) number: u64,
}

impl Marker<'_> {
    /// Marks until the log is in trouble, or until it should no longer be tailed and its end is too long in coming. `wants`: whether it
    /// should be tailed.
    pub(super) async fn run(mut self, wants: impl Fn(&Seen) -> bool) -> Ended {
        match self.mark_all(wants).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn mark_all(&mut self, wants: impl Fn(&Seen) -> bool) -> Result<std::convert::Infallible, Ended> {
        let mut ticks = interval(MARK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut marked = (Instant::now(), 0);
        let mut leave_by = None;
        loop {
            let is_leaving = leave_by.is_some();
            tokio::select! {
                () = sleep_until(leave_by.unwrap_or(self.since)), if is_leaving => return Err(Ended::Left),
                () = self.drain.requested(), if !is_leaving => leave_by = Some(self.leave().await?),
                _ = ticks.tick() => {
                    let batches = self.course.batches();
                    if self.number == 0 || batches != marked.1 || marked.0.elapsed() >= HEARTBEAT_EVERY {
                        marked = (Instant::now(), batches);
                        self.mark().await?;
                    }
                }
                Ok(()) = self.seen.changed() => {
                    let Some(seen) = self.seen.borrow_and_update().clone().filter(|seen| seen.at > self.since) else { continue };
                    if let Some(trouble) = judge(&seen, self.retained_bytes_max) {
                        return Err(trouble.into());
                    }
                    if !is_leaving && !wants(&seen) {
                        leave_by = Some(self.leave().await?);
                    }
                }
            }
        }
    }

    async fn mark(&mut self) -> Result<(), Ended> {
        self.number += 1;
        Ok(mark::write(self.store, self.writer, self.number).await?)
    }

    /// Asks to end with a new mark; returns when that is too late.
    async fn leave(&mut self) -> Result<Instant, Ended> {
        info!("relay leaves the log");
        self.course.end_with(self.number + 1);
        self.mark().await?;
        Ok(Instant::now() + LEAVE_WITHIN)
    }
}
