//! What can be seen of an outbox.

use crate::rows;
use lifecycle::{Drain, Rhythm};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;
use store::{Error, Statement, Store};
use tracing::warn;

/// How often the tables are measured.
const PERIOD: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByChannel {
    channel: String,
}

/// Counters and gauges of one service's outbox. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    published: Counter,
    sent_again: Counter,
    handled: Counter,
    retried: Counter,
    parked: Counter,
    depth: Family<ByChannel, Gauge>,
    oldest: Family<ByChannel, Gauge>,
    obligations: Gauge,
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
        registry.register("outbox_depth", "Messages that are not published yet", metrics.depth.clone());
        let age = "Age of the oldest message that is not published yet, from the table itself";
        registry.register_with_unit("outbox_oldest_unpublished", age, Unit::Seconds, metrics.oldest.clone());
        registry.register("outbox_obligations", "Commands that wait for a reply", metrics.obligations.clone());
        metrics
    }

    pub(crate) fn published(&self, messages: usize) {
        self.published.inc_by(messages as u64);
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

    async fn measure(&self, store: &Store) -> Result<(), Error> {
        let by_channel = Statement::new("SELECT channel, count(*), min(created_us) FROM outbox GROUP BY channel");
        let obligations = Statement::new("SELECT count(*) FROM obligation");
        let now_us = rows::now_us();
        let mut results = store.snapshot(vec![by_channel, obligations]).await?;
        if let Some(row) = results.pop().unwrap_or_default().first_mut() {
            self.obligations.set(row.take(0)?);
        }
        self.depth.clear();
        self.oldest.clear();
        for mut row in results.pop().unwrap_or_default() {
            let label = ByChannel { channel: row.take(0)? };
            self.depth.get_or_create(&label).set(row.take(1)?);
            self.oldest.get_or_create(&label).set((now_us - row.take::<i64>(2)?).max(0) / 1_000_000);
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
