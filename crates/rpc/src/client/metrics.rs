//! What clients count.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// From a call inside the process to one that was held for a minute, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 60.0];

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfService {
    service: Arc<str>,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    service: Arc<str>,
    outcome: &'static str,
}

/// The counters of all clients of a process.
#[derive(Debug, Clone)]
pub struct ClientMetrics {
    ended: Family<Ended, Counter>,
    took: Family<OfService, Histogram, fn() -> Histogram>,
    attempts: Family<Ended, Counter>,
}

impl Default for ClientMetrics {
    fn default() -> Self {
        let took = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        ClientMetrics { ended: Family::default(), took, attempts: Family::default() }
    }
}

impl ClientMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = ClientMetrics::default();
        registry.register("rpc_client_calls", "Calls of other services, by how they ended", metrics.ended.clone());
        registry.register(
            "rpc_client_call_seconds",
            "Time until the answer of another service began",
            metrics.took.clone(),
        );
        registry.register(
            "rpc_client_attempts",
            "Attempts beside the first of a call, by their reason",
            metrics.attempts.clone(),
        );
        metrics
    }

    /// The counters of the clients of one service.
    #[must_use]
    pub fn of(&self, service: &Arc<str>) -> ServiceMetrics {
        ServiceMetrics::new(self, service)
    }
}

/// The counters of the clients of one service, looked up once.
#[derive(Debug, Clone)]
pub struct ServiceMetrics(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    answered: Counter,
    failed: Counter,
    refused_here: Counter,
    took: Histogram,
    retried: Counter,
    hedged: Counter,
    moved: Counter,
    in_panic: Counter,
}

/// Why there was another attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Again {
    /// The one before failed.
    Retry,
    /// The one before was slow.
    Hedge,
    /// The one before was not taken.
    Moved,
    /// So few endpoints are usable that breakers are not asked.
    Panic,
}

impl ServiceMetrics {
    fn new(metrics: &ClientMetrics, service: &Arc<str>) -> Self {
        let ended = |outcome| metrics.ended.get_or_create(&Ended { service: service.clone(), outcome }).clone();
        let again = |outcome| metrics.attempts.get_or_create(&Ended { service: service.clone(), outcome }).clone();
        ServiceMetrics(Arc::new(Handles {
            answered: ended("answered"),
            failed: ended("failed"),
            refused_here: ended("refused_here"),
            took: metrics.took.get_or_create(&OfService { service: service.clone() }).clone(),
            retried: again("retry"),
            hedged: again("hedge"),
            moved: again("moved"),
            in_panic: again("panic"),
        }))
    }

    pub(crate) fn answered(&self, took: Duration) {
        self.0.answered.inc();
        self.0.took.observe(took.as_secs_f64());
    }

    pub(crate) fn failed(&self, is_refused_here: bool) {
        if is_refused_here {
            self.0.refused_here.inc()
        } else {
            self.0.failed.inc()
        };
    }

    pub(crate) fn again(&self, why: Again) {
        match why {
            Again::Retry => self.0.retried.inc(),
            Again::Hedge => self.0.hedged.inc(),
            Again::Moved => self.0.moved.inc(),
            Again::Panic => self.0.in_panic.inc(),
        };
    }
}
