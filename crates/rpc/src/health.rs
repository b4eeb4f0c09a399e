//! Keeps the gRPC health service true: a service is SERVING while its upstream is up.

use crate::Upstream;
use futures_util::future::{Either, select, select_all};
use lifecycle::Drain;
use std::collections::BTreeMap;
use std::pin::pin;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The name of the whole server in the health protocol.
const WHOLE: &str = "";

/// Reports each service, and the whole: it is SERVING while any service is.
pub async fn report(reporter: &HealthReporter, upstreams: &BTreeMap<&'static str, Upstream>) {
    for (name, upstream) in upstreams {
        reporter.set_service_status(name, status(upstream.is_up())).await;
    }
    let is_any_up = upstreams.values().any(Upstream::is_up);
    reporter.set_service_status(WHOLE, status(is_any_up)).await;
}

/// Reports every change, until the drain: then nothing is SERVING any more.
pub async fn follow(reporter: HealthReporter, mut upstreams: BTreeMap<&'static str, Upstream>, drain: Drain) {
    if upstreams.is_empty() {
        return drain.requested().await;
    }
    loop {
        report(&reporter, &upstreams).await;
        // Cancel safe: a change that nobody waits for is seen by the next wait.
        let changes = select_all(upstreams.values_mut().map(|upstream| Box::pin(upstream.changed())));
        match select(changes, pin!(drain.requested())).await {
            Either::Left(_) => {}
            Either::Right(_) => break,
        }
    }
    for name in upstreams.keys() {
        reporter.set_service_status(name, ServingStatus::NotServing).await;
    }
    reporter.set_service_status(WHOLE, ServingStatus::NotServing).await;
}

fn status(is_up: bool) -> ServingStatus {
    if is_up { ServingStatus::Serving } else { ServingStatus::NotServing }
}
