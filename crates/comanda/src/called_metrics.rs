//! Metrics of the services that this process calls, read when they are asked for.

use crate::wire::Wiring;
use breaker::State;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rpc::client::Reached;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfService {
    service: Arc<str>,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InState {
    service: Arc<str>,
    state: &'static str,
}

/// What is known of breakers and endpoints.
#[derive(Debug, Clone, Default)]
pub(crate) struct CalledMetrics {
    breaker: Family<InState, Gauge>,
    endpoints: Family<InState, Gauge>,
    connected: Family<OfService, Gauge>,
    in_flight: Family<OfService, Gauge>,
    refused: Family<OfService, Gauge>,
    list_age: Family<OfService, Gauge<f64, AtomicU64>>,
    list_is_stale: Family<OfService, Gauge>,
}

/// States of a breaker, each a series, so that a change is seen whichever it is.
const STATES: [State; 5] = [State::Closed, State::Open, State::HalfOpen, State::ForcedOpen, State::ForcedClosed];

impl CalledMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = CalledMetrics::default();
        registry.register("service_breaker", "1 for the state of a service's breaker", metrics.breaker.clone());
        registry.register(
            "service_endpoints",
            "Endpoints of a service by the state of their breakers",
            metrics.endpoints.clone(),
        );
        registry.register("service_endpoints_connected", "Endpoints with a connection", metrics.connected.clone());
        registry.register("service_calls_in_flight", "Attempts that wait for an answer", metrics.in_flight.clone());
        registry.register(
            "service_breaker_refused",
            "Calls refused by the breaker since the start",
            metrics.refused.clone(),
        );
        let (help, age) = ("How old the list of endpoints is", metrics.list_age.clone());
        registry.register_with_unit("service_list_age", help, Unit::Seconds, age);
        registry.register(
            "service_list_is_stale",
            "1 while the list cannot be confirmed",
            metrics.list_is_stale.clone(),
        );
        metrics
    }

    pub(crate) fn refresh(&self, wiring: &Wiring) {
        for view in wiring.upstreams().map(rpc::Upstream::view) {
            let service = &view.service;
            let of = OfService { service: service.clone() };
            for state in STATES {
                let in_state = InState { service: service.clone(), state: state.as_str() };
                let endpoints = view.endpoints.iter().filter(|endpoint| endpoint.breaker.state == state).count();
                self.breaker.get_or_create(&in_state).set(i64::from(view.breaker.state == state));
                self.endpoints.get_or_create(&in_state).set(count(endpoints));
            }
            let connected = view.endpoints.iter().filter(|endpoint| endpoint.reached == Reached::Up).count();
            self.connected.get_or_create(&of).set(count(connected));
            self.in_flight
                .get_or_create(&of)
                .set(count(view.endpoints.iter().map(|endpoint| endpoint.in_flight).sum()));
            self.refused.get_or_create(&of).set(i64::try_from(view.breaker.rejected).unwrap_or(i64::MAX));
            if let Some(age) = view.list_age {
                self.list_age.get_or_create(&of).set(age.as_secs_f64());
            }
            self.list_is_stale.get_or_create(&of).set(i64::from(view.list_fault.is_some()));
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
