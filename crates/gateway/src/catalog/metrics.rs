//! What can be seen of the catalog from far away.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfService {
    service: Arc<str>,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

/// Counters of the catalog. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct CatalogMetrics {
    routes: Family<OfService, Gauge>,
    versions: Family<OfService, Gauge>,
    conflicts: Family<OfService, Gauge>,
    changes: Counter,
    reflections: Family<Ended, Counter>,
}

/// What there is of a service now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) routes: usize,
    pub(crate) versions: usize,
    pub(crate) conflicts: usize,
}

impl CatalogMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = CatalogMetrics::default();
        let help = "HTTP routes that are served, by the service that they were found at";
        registry.register("gateway_catalog_routes", help, metrics.routes.clone());
        let help = "Versions among the endpoints of a service; more than 1 while it is replaced";
        registry.register("gateway_catalog_versions", help, metrics.versions.clone());
        let help = "What is wrong with a service: conflicting routes and services, versions that differ, endpoints not described";
        registry.register("gateway_catalog_conflicts", help, metrics.conflicts.clone());
        let help = "Times that what is served has changed";
        registry.register("gateway_catalog_changes", help, metrics.changes.clone());
        let help = "Answers of endpoints that were asked for their descriptors";
        registry.register("gateway_catalog_reflections", help, metrics.reflections.clone());
        metrics
    }

    pub(super) fn changed(&self) {
        self.changes.inc();
    }

    pub(super) fn reflected(&self, is_answered: bool) {
        let outcome = if is_answered { "answered" } else { "failed" };
        self.reflections.get_or_create(&Ended { outcome }).inc();
    }

    pub(super) fn show(&self, service: &Arc<str>, sizes: Sizes) {
        let of = OfService { service: service.clone() };
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.routes.get_or_create(&of).set(count(sizes.routes));
        self.versions.get_or_create(&of).set(count(sizes.versions));
        self.conflicts.get_or_create(&of).set(count(sizes.conflicts));
    }

    /// Shows nothing more of a service that has gone.
    pub(super) fn forget(&self, service: &Arc<str>) {
        let of = OfService { service: service.clone() };
        for family in [&self.routes, &self.versions, &self.conflicts] {
            family.remove(&of);
        }
    }
}
