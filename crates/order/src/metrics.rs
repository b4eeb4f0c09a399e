//! What can be seen of orders.

use crate::domain::State;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

/// Counters and gauges of the Order Service. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    taken: Counter,
    decided: Family<ByState, Counter>,
    time_to_decided: Histogram,
    undecided: Gauge,
    forgotten: Gauge,
    restaurants: Gauge,
    replica_age: Gauge,
    replica_gaps: Counter,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        // 1 ms to about 9 hours: an order may wait for a service that is down.
        let time_to_decided = Histogram::new(exponential_buckets(0.001, 2.0, 25));
        let metrics = Metrics {
            taken: Counter::default(),
            decided: Family::default(),
            time_to_decided,
            undecided: Gauge::default(),
            forgotten: Gauge::default(),
            restaurants: Gauge::default(),
            replica_age: Gauge::default(),
            replica_gaps: Counter::default(),
        };
        registry.register("orders_taken", "Orders taken", metrics.taken.clone());
        registry.register("orders_decided", "Orders decided, by their final state", metrics.decided.clone());
        let time = "Time from taking an order to its decision";
        registry.register_with_unit("order_time_to_decided", time, Unit::Seconds, metrics.time_to_decided.clone());
        registry.register("orders_undecided", "Orders that are not decided yet", metrics.undecided.clone());
        let forgotten = "Undecided orders that wait for nothing; must be 0";
        registry.register("orders_without_obligation", forgotten, metrics.forgotten.clone());
        registry.register("restaurants_known", "Restaurants in the replica", metrics.restaurants.clone());
        let age = "Time since the replica last heard of a restaurant";
        registry.register_with_unit("restaurant_replica_age", age, Unit::Seconds, metrics.replica_age.clone());
        let gaps = "Versions of restaurants that the replica was never told, since a later one came first";
        registry.register("restaurant_replica_gaps", gaps, metrics.replica_gaps.clone());
        metrics
    }

    pub(crate) fn taken(&self) {
        self.taken.inc();
    }

    pub(crate) fn decided(&self, state: State, after: Duration) {
        self.decided.get_or_create(&ByState { state: state.to_wire().as_str_name() }).inc();
        self.time_to_decided.observe(after.as_secs_f64());
    }

    pub(crate) fn undecided(&self, undecided: i64, forgotten: i64) {
        self.undecided.set(undecided);
        self.forgotten.set(forgotten);
    }

    pub(crate) fn replica_missed(&self, versions: u64) {
        self.replica_gaps.inc_by(versions);
    }

    pub(crate) fn replica(&self, restaurants: usize, age: Duration) {
        self.restaurants.set(i64::try_from(restaurants).unwrap_or(i64::MAX));
        self.replica_age.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }
}
