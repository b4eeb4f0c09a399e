//! What can be seen of a guard: whom it refused and why, and which answers it gave again.

use crate::refusal::Reason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The label of a method that is in no descriptor, so that callers cannot make labels.
pub(crate) const UNKNOWN: &str = "unknown";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
    method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    method: String,
}

/// Counters of a guard. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    refusals: Family<RefusalLabels, Counter>,
    replays: Family<MethodLabels, Counter>,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics::default();
        registry.register("guard_refusals", "Calls refused, by reason and method", metrics.refusals.clone());
        registry.register(
            "guard_replays",
            "Answers given again to a repeated call, by method",
            metrics.replays.clone(),
        );
        metrics
    }

    pub(crate) fn refused(&self, reason: Reason, method: &str) {
        self.refusals.get_or_create(&RefusalLabels { reason: reason.name(), method: method.to_owned() }).inc();
    }

    pub(crate) fn replayed(&self, method: &str) {
        self.replays.get_or_create(&MethodLabels { method: method.to_owned() }).inc();
    }
}
