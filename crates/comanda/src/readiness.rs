//! Whether orders can be accepted now, and what else is amiss.

use crate::Role;
use crate::wire::{Orders, Wiring};
use gateway::{Check, Readiness, ReadinessProbe, State};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long the order database may take to write one row before orders count as unavailable.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Looks at the roles and at the order database each time it is called.
pub(crate) fn probe(wiring: Arc<Wiring>) -> ReadinessProbe {
    Arc::new(move || {
        let wiring = wiring.clone();
        Box::pin(async move { look(&wiring).await })
    })
}

async fn look(wiring: &Wiring) -> Readiness {
    let mut checks = Vec::new();
    checks.extend(orders(wiring).await);
    for role in [Role::Consumer, Role::Restaurant].into_iter().filter(|role| wiring.knows(*role)) {
        let is_up = wiring.upstream(role).is_some_and(rpc::Upstream::is_up);
        let (status, detail) = if is_up {
            (State::Ready, "runs")
        } else {
            (State::Degraded, "does not run, or cannot be reached; orders are accepted and wait for it")
        };
        checks.push(Check { name: role.to_string(), status, detail: detail.to_owned() });
    }
    checks.extend(wiring.bus().map(|bus| {
        let detail = bus.durability();
        Check { name: "channels".to_owned(), status: State::Ready, detail }
    }));
    checks.extend(wiring.directory.checks());
    let status = checks.iter().map(|check| check.status).max_by_key(|status| severity(*status)).unwrap_or(State::Ready);
    Readiness { status, checks }
}

/// Whether orders can be taken; `None` in a process that takes none. Another service is as ready without the Order Service as with it, and
/// may be what that is started after.
async fn orders(wiring: &Wiring) -> Option<Check> {
    match wiring.upstream(Role::Order) {
        Some(_) if wiring.runs(Role::Order) => Some(own_orders(wiring).await),
        Some(upstream) if wiring.runs(Role::Gateway) && wiring.knows(Role::Order) => Some(if upstream.is_up() {
            Check { name: Role::Order.to_string(), status: State::Ready, detail: "is reached".to_owned() }
        } else {
            Check { name: Role::Order.to_string(), status: State::Unavailable, detail: "cannot be reached".to_owned() }
        }),
        Some(_) | None => None,
    }
}

async fn own_orders(wiring: &Wiring) -> Check {
    let check = |status, detail: String| Check { name: Role::Order.to_string(), status, detail };
    let Some(Orders { store, pricing }) = wiring.orders() else {
        return check(State::Unavailable, "does not run; start it with `comanda roles start order`".to_owned());
    };
    if !pricing.is_possible() {
        return check(State::Unavailable, "it waits for the restaurants, which the channels hold".to_owned());
    }
    match timeout(PROBE_TIMEOUT, outbox::probe(&store)).await {
        Ok(Ok(())) => check(State::Ready, store.durability()),
        Ok(Err(error)) => check(State::Unavailable, format!("its database cannot be written: {error}")),
        Err(_elapsed) => check(State::Unavailable, format!("its database did not write within {PROBE_TIMEOUT:?}")),
    }
}

fn severity(status: State) -> u8 {
    match status {
        State::Ready => 0,
        State::Degraded => 1,
        State::Unavailable => 2,
    }
}
