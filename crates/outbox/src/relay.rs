//! Moves messages from the outbox to the bus: the polling publisher.
//!
//! One relay at a time holds the lane. It publishes page by page in the order of the journal and goes on only when the bus has all of a
//! page, so the order of a key survives every retry. While a page is published the next one of the same batch is read. Where it stands
//! is written lazily: what was published since the last write is published again after a crash.
//!
//! With PostgreSQL it may tail the log instead, see [`crate::tailing`]; it polls until that is ready, and whenever it is not.

use crate::config::Publisher;
use crate::journal::{self, Page, Read};
use crate::lease::{self, Error, Lease, keeping};
use crate::tailing::Tailing;
use crate::{Config, Metrics};
use lifecycle::Drain;
use messaging::Bus;
use std::future::pending;
use std::time::Duration;
use store::{Dialect, Store};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};

/// The pause after a failure, doubled up to the limit.
pub(crate) const BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(2);
/// The first pause after something was found. The next ones are half as long again, up to `poll_ms`, so that a message waits for little
/// more than half of the time that the outbox was quiet before it, and a quiet outbox costs sixteen queries until it is left alone.
const POLL_FIRST: Duration = Duration::from_millis(2);
/// How often a paused relay looks whether it may go on.
const PAUSED_POLL: Duration = Duration::from_millis(500);

/// Runs the relay of one store until it is asked to drain. A fault is logged and tried again. With [`Publisher::None`] it only waits for
/// the drain.
///
/// Any number of relays may run on one store, in any number of processes: one publishes, and when it dies another one takes over within
/// 3 s.
pub async fn relay(store: Store, bus: Bus, config: Config, metrics: Metrics, drain: Drain) {
    if config.publisher == Publisher::None {
        drain.requested().await;
        return;
    }
    if let Err(error) = config.fits(store.dialect()) {
        error!(error = &error as &dyn std::error::Error, "relay polls");
    }
    let owner = lease::owner();
    let relay = Relay { store, bus, config, metrics, drain };
    let mut pause = *BACKOFF.start();
    while !relay.drain.is_requested() {
        let started = Instant::now();
        match relay.run(&owner).await {
            Ok(()) => return,
            Err(Error::Lost) => info!("relay lost the lane"),
            Err(error) => warn!(error = &error as &dyn std::error::Error, "relay interrupted"),
        }
        if started.elapsed() > *BACKOFF.end() {
            pause = *BACKOFF.start();
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(*BACKOFF.end()),
            () = relay.drain.requested() => {}
        }
    }
}

/// What a relay works with.
pub(crate) struct Relay {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) drain: Drain,
}

impl Relay {
    /// Takes the lane as soon as it is free and publishes until the drain, or until a fault of the store or the loss of the lane.
    async fn run(&self, owner: &str) -> Result<(), Error> {
        let Some(mut lease) = self.compete(owner).await? else { return Ok(()) };
        self.metrics.holds(Some(lease.epoch()));
        let result = self.hold(&mut lease).await;
        self.metrics.holds(None);
        if !matches!(result, Err(Error::Lost | Error::Store(_))) {
            lease.release().await?;
        }
        result
    }

    /// Waits for the lane; `None` when the drain is requested first.
    async fn compete(&self, owner: &str) -> Result<Option<Lease>, Error> {
        loop {
            if self.drain.is_requested() {
                return Ok(None);
            }
            match Lease::take(&self.store, owner).await? {
                Ok(lease) => return Ok(Some(lease)),
                Err(ask_again_after) => tokio::select! {
                    () = sleep(ask_again_after) => {}
                    () = self.drain.requested() => {}
                },
            }
        }
    }

    async fn hold(&self, lease: &mut Lease) -> Result<(), Error> {
        let mut tailing = Tailing::new(self, lease.epoch());
        let result = self.publish_all(lease, &mut tailing).await;
        if self.drain.is_requested()
            && !matches!(result, Err(Error::Lost))
            && let Some(tailing) = &mut tailing
        {
            keeping(lease, tailing.close()).await?;
        }
        result
    }

    /// Publishes page by page, and from the log whenever that is wanted and ready.
    async fn publish_all(&self, lease: &mut Lease, tailing: &mut Option<Tailing<'_>>) -> Result<(), Error> {
        let mut woken = self.store.woken();
        let mut pause = self.first_pause();
        let mut ahead = None;
        loop {
            if let Some(tailing) = tailing
                && let Some(ready) = tailing.step(lease.cursor())
            {
                tailing.tail(lease, ready).await?;
                pause = self.first_pause();
            }
            woken.mark_unchanged();
            // Only what is read after the drain was requested holds all that was committed before it.
            let is_last = ahead.is_none() && self.drain.is_requested();
            let read = match ahead.take() {
                Some(read) => read,
                None => journal::read(&self.store, lease.epoch(), lease.cursor()).await?,
            };
            match read {
                Read::Lost => return Err(Error::Lost),
                Read::Page(page) if !page.messages.is_empty() => {
                    ahead = self.publish(lease, page).await?;
                    pause = self.first_pause();
                }
                Read::Page(_) | Read::Paused if is_last => return Ok(()),
                Read::Page(page) => {
                    lease.saw_nothing(&page);
                    self.wait(lease, &mut woken, tailing, pause).await?;
                    pause = (pause * 3 / 2).min(self.poll());
                }
                Read::Paused => self.wait(lease, &mut woken, tailing, PAUSED_POLL).await?,
            }
        }
    }

    /// Waits until there may be something to read, and keeps the lane meanwhile.
    async fn wait(
        &self,
        lease: &mut Lease,
        woken: &mut watch::Receiver<u64>,
        tailing: &mut Option<Tailing<'_>>,
        pause: Duration,
    ) -> Result<(), Error> {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(lease.due_at()) => lease.keep().await?,
                changed = woken.changed() => return changed.map_err(|_closed| Error::Store(store::Error::Closed)),
                () = self.drain.requested() => return Ok(()),
                () = stirs(tailing) => return Ok(()),
                () = sleep_until(until) => return Ok(()),
            }
        }
    }

    /// Publishes a page, however often the bus refuses, and reads ahead if more of its batch may follow.
    async fn publish(&self, lease: &mut Lease, page: Page) -> Result<Option<Read>, Error> {
        let start = lease.cursor().clone();
        let (epoch, next) = (lease.epoch(), start.after(&page));
        let (mut done, mut ahead) = (0, None);
        let mut pause = *BACKOFF.start();
        loop {
            // Who slept past the end of its lease must not publish before it knows that nobody else does.
            if lease.is_doubtful() {
                lease.keep().await?;
            }
            let rest = page.messages.get(done..).unwrap_or_default();
            let wants_more = page.is_full && ahead.is_none();
            let work = async {
                let read_ahead = async {
                    match wants_more {
                        true => Some(journal::read_aside(&self.store, epoch, &next).await),
                        false => None,
                    }
                };
                tokio::join!(self.bus.publish(rest), read_ahead)
            };
            let (published, read) = keeping(lease, work).await?;
            ahead = ahead.or(read.transpose()?);
            let Err(error) = published else {
                self.metrics.published(rest.len());
                lease.move_to(next, rest.len());
                return Ok(ahead);
            };
            let stored = acknowledged(&error).min(rest.len());
            done += stored;
            self.metrics.published(stored);
            self.metrics.publish_failed();
            self.metrics.publish_refused(&error);
            lease.move_to(start.within(&page, done), stored);
            if self.drain.is_requested() {
                return Err(error.into());
            }
            warn!(error = &error as &dyn std::error::Error, "messages could not be published");
            self.back_off(lease, pause).await?;
            pause = if stored > 0 { *BACKOFF.start() } else { (pause * 2).min(*BACKOFF.end()) };
        }
    }

    async fn back_off(&self, lease: &mut Lease, pause: Duration) -> Result<(), Error> {
        tokio::select! {
            () = self.drain.requested() => Ok(()),
            kept = keeping(lease, sleep(pause)) => kept,
        }
    }

    fn poll(&self) -> Duration {
        Duration::from_millis(self.config.poll_ms)
    }

    /// SQLite has one process, whose commits wake the relay; PostgreSQL may have many.
    fn first_pause(&self) -> Duration {
        match self.store.dialect() {
            Dialect::Sqlite => self.poll(),
            Dialect::Postgres => POLL_FIRST.min(self.poll()),
        }
    }
}

async fn stirs(tailing: &mut Option<Tailing<'_>>) {
    match tailing {
        Some(tailing) => tailing.stirs().await,
        None => pending().await,
    }
}

/// How many of the first messages the bus has.
pub(crate) fn acknowledged(error: &messaging::Error) -> usize {
    match error {
        messaging::Error::Publish { acknowledged, .. } => *acknowledged,
        _ => 0,
    }
}
