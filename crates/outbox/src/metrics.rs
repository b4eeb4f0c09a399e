//! What can be seen of an outbox.

use crate::outcome::chain;
use crate::rows;
use crate::waiting::{Waiting, waiting};
use lifecycle::{Drain, Rhythm};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Error, Statement, Store};
use tokio::time::Instant;
use tracing::warn;

/// How often the tables are measured.
const PERIOD: Duration = Duration::from_secs(5);
/// Obligations that are counted; beyond, this many are shown. 1,000,000 in the index take some 100 ms.
const COUNTED_MAX: i64 = 1_000_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByChannel {
    channel: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

/// Counters and gauges of one service's outbox. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    published: Counter,
    sent_again: Counter,
    handled: Counter,
    retried: Counter,
    parked: Counter,
    redriven: Counter,
    parked_keys: Gauge,
    depth: Family<ByChannel, Gauge>,
    oldest: Family<ByChannel, Gauge>,
    holds: Gauge,
    epoch: Gauge,
    tails: Gauge,
    fallbacks: Family<ByReason, Counter>,
    log_cuts: Counter,
    publish_failed: Counter,
    obligations: Gauge,
    overdue: Gauge,
    refused: Arc<Mutex<Option<(String, Instant)>>>,
}

impl Metrics {
    /// Registers them; `registry` carries the label of the service.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics::default();
        registry.register("outbox_published", "Messages published to the bus", metrics.published.clone());
        registry.register(
            "outbox_sent_again",
            "Commands sent again since their reply was late",
            metrics.sent_again.clone(),
        );
        registry.register("inbox_handled", "Messages handled", metrics.handled.clone());
        registry.register(
            "inbox_retried",
            "Tries of a message that failed for want of infrastructure",
            metrics.retried.clone(),
        );
        registry.register("inbox_parked", "Messages parked", metrics.parked.clone());
        registry.register("inbox_redriven", "Parked messages handled after all", metrics.redriven.clone());
        registry.register("inbox_parked_keys", "Keys that are parked now", metrics.parked_keys.clone());
        registry.register("outbox_depth", "Messages that are not published yet", metrics.depth.clone());
        let age = "Age of the oldest message that is not published yet, from the table itself";
        registry.register_with_unit("outbox_oldest_unpublished", age, Unit::Seconds, metrics.oldest.clone());
        registry.register("outbox_lease_held", "1 while the relay of this process publishes", metrics.holds.clone());
        registry.register(
            "outbox_epoch",
            "How often the lane had changed hands when this process took it",
            metrics.epoch.clone(),
        );
        registry.register(
            "outbox_tailing",
            "1 while the relay of this process publishes from the log",
            metrics.tails.clone(),
        );
        registry.register(
            "outbox_tailing_fallbacks",
            "Times that a relay had to poll although it should tail the log",
            metrics.fallbacks.clone(),
        );
        registry.register(
            "outbox_log_cuts",
            "Times that the line to the log broke and was to be opened again",
            metrics.log_cuts.clone(),
        );
        registry.register(
            "outbox_publish_failed",
            "Publishes that the bus refused in part or whole",
            metrics.publish_failed.clone(),
        );
        registry.register("outbox_obligations", "Commands that wait for a reply", metrics.obligations.clone());
        registry.register("outbox_obligations_overdue", "Commands whose reply is late", metrics.overdue.clone());
        metrics
    }

    pub(crate) fn published(&self, messages: usize) {
        self.published.inc_by(messages as u64);
        if messages > 0 {
            *self.trouble() = None;
        }
    }

    /// Notes that the relay holds the lane under an epoch, or no longer.
    pub(crate) fn holds(&self, epoch: Option<i64>) {
        self.holds.set(epoch.is_some().into());
        if let Some(epoch) = epoch {
            self.epoch.set(epoch);
        }
    }

    /// Whether the relay of this process publishes from the log now.
    #[must_use]
    pub fn is_tailing(&self) -> bool {
        self.tails.get() != 0
    }

    /// How often the relay had to fall back to polling for this reason.
    #[must_use]
    pub fn fallbacks(&self, reason: &'static str) -> u64 {
        self.fallbacks.get_or_create(&ByReason { reason }).get()
    }

    /// How often the line to the log broke and was to be opened again.
    #[must_use]
    pub fn log_cuts(&self) -> u64 {
        self.log_cuts.get()
    }

    pub(crate) fn log_was_cut(&self) {
        self.log_cuts.inc();
    }

    pub(crate) fn tails(&self, tails: bool) {
        self.tails.set(tails.into());
    }

    pub(crate) fn fell_back(&self, reason: &'static str) {
        self.fallbacks.get_or_create(&ByReason { reason }).inc();
    }

    /// How many messages the bus has taken from the relay.
    #[must_use]
    pub fn messages_published(&self) -> u64 {
        self.published.get()
    }

    /// How often the bus refused what the relay published, in part or whole.
    #[must_use]
    pub fn publish_failures(&self) -> u64 {
        self.publish_failed.get()
    }

    pub(crate) fn publish_failed(&self) {
        self.publish_failed.inc();
    }

    /// Notes why the bus refused to publish; forgotten when it publishes something again.
    pub(crate) fn publish_refused(&self, error: &messaging::Error) {
        let mut trouble = self.trouble();
        let since = trouble.as_ref().map_or_else(Instant::now, |(_, since)| *since);
        *trouble = Some((chain(error), since));
    }

    /// Why the bus refuses to publish, and for how long it has; `None` if it publishes.
    pub(crate) fn refused(&self) -> Option<(String, Duration)> {
        self.trouble().as_ref().map(|(why, since)| (why.clone(), since.elapsed()))
    }

    fn trouble(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sent_again(&self, commands: usize) {
        self.sent_again.inc_by(commands as u64);
    }

    pub(crate) fn handled(&self) {
        self.handled.inc();
    }

    pub(crate) fn retried(&self) {
        self.retried.inc();
    }

    pub(crate) fn parked(&self) {
        self.parked.inc();
    }

    pub(crate) fn redriven(&self) {
        self.redriven.inc();
    }

    async fn measure(&self, store: &Store) -> Result<(), Error> {
        let waiting = waiting(store).await?;
        let count = |sql, now_us| Statement::new(sql).bind(now_us).bind(COUNTED_MAX);
        let all = "SELECT count(*) FROM (SELECT 1 FROM obligation WHERE due_us <> ?1 LIMIT ?2) AS counted";
        let overdue = "SELECT count(*) FROM (SELECT 1 FROM obligation WHERE due_us <= ?1 LIMIT ?2) AS counted";
        let parked = "SELECT count(*) FROM (SELECT 1 FROM parked_key WHERE parked_us <> ?1 LIMIT ?2) AS counted";
        let counts = vec![count(all, -1), count(overdue, rows::now_us()), count(parked, -1)];
        let mut results = store.snapshot(counts).await?.into_iter();
        for gauge in [&self.obligations, &self.overdue, &self.parked_keys] {
            if let Some(row) = results.next().unwrap_or_default().first_mut() {
                gauge.set(row.take(0)?);
            }
        }
        self.depth.clear();
        self.oldest.clear();
        for Waiting { channel, messages, oldest } in waiting {
            let label = ByChannel { channel };
            self.depth.get_or_create(&label).set(messages);
            self.oldest.get_or_create(&label).set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
        }
        Ok(())
    }
}

/// Measures the tables every few seconds until it is asked to drain, so that a relay that is dead shows as well.
pub async fn observe(store: Store, metrics: Metrics, drain: Drain) {
    let mut rhythm = Rhythm::every(PERIOD, drain);
    while rhythm.beat().await {
        if let Err(error) = metrics.measure(&store).await {
            warn!(error = &error as &dyn std::error::Error, "outbox could not be measured");
        }
    }
}
