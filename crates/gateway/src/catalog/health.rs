//! Keeps the gRPC health service true while services come and go: a service is SERVING while its upstream is up.

use super::{Catalog, Current};
use futures_util::future::{BoxFuture, FutureExt, select_all};
use lifecycle::Drain;
use rpc::Upstream;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The name of the whole server in the health protocol.
const WHOLE: &str = "";

/// What is reported, by name.
type Upstreams = BTreeMap<Arc<str>, Upstream>;

/// Reports each service, and the whole: it is SERVING while any service is.
pub(crate) async fn report(reporter: &HealthReporter, catalog: &Catalog) {
    report_all(reporter, &upstreams(catalog)).await;
}

/// Reports every change, until the drain: then nothing is SERVING any more.
pub(crate) async fn follow(reporter: HealthReporter, current: Arc<Current>, drain: Drain) {
    let mut replaced = current.replaced();
    let mut known = upstreams(&current.now());
    loop {
        report_all(&reporter, &known).await;
        // Cancel safe: a change that nobody waits for is seen by the next wait.
        let is_replaced = tokio::select! {
            () = drain.requested() => break,
            changed = replaced.changed() => changed.is_ok(),
            () = changed(&mut known) => false,
        };
        if is_replaced {
            let after = upstreams(&current.now());
            for gone in known.keys().filter(|name| !after.contains_key(*name)) {
                reporter.clone().clear_service_status(gone).await;
            }
            known = after;
        }
    }
    for name in known.keys().map(|name| &**name).chain([WHOLE]) {
        reporter.set_service_status(name, ServingStatus::NotServing).await;
    }
}

fn upstreams(catalog: &Catalog) -> Upstreams {
    catalog.services.upstreams().filter(|(name, _)| !super::own_services::is_own(name)).collect()
}

async fn changed(known: &mut Upstreams) {
    let changes: Vec<BoxFuture<'_, ()>> = known.values_mut().map(|upstream| upstream.changed().boxed()).collect();
    if changes.is_empty() {
        return std::future::pending().await;
    }
    select_all(changes).await;
}

async fn report_all(reporter: &HealthReporter, upstreams: &Upstreams) {
    for (name, upstream) in upstreams {
        reporter.set_service_status(&**name, status(upstream.is_up())).await;
    }
    let is_any_up = upstreams.values().any(Upstream::is_up);
    reporter.set_service_status(WHOLE, status(is_any_up)).await;
}

fn status(is_up: bool) -> ServingStatus {
    if is_up { ServingStatus::Serving } else { ServingStatus::NotServing }
}
