//! What happens by the clock: orders expire, keys are forgotten, counts are taken.

use super::Orders;
use super::advance::Push;
use crate::domain::{Input, Reason, ReasonCode};
use crate::{Error, store as rows};
use lifecycle::{Drain, Rhythm};
use messaging::Bus;
use proto::time::Instant;
use proto::{OrderId, channel};
use std::time::Duration;
use store::Change;
use tracing::warn;

/// How late an expired order is noticed at most.
const EXPIRY_PERIOD: Duration = Duration::from_millis(250);
/// Orders expired in one round.
const EXPIRED_AT_ONCE: i64 = 100;
const FORGETTING_PERIOD: Duration = Duration::from_secs(60);
const COUNTING_PERIOD: Duration = Duration::from_secs(5);
/// How long a client may find no channel after the broker came up.
const OPENING_PERIOD: Duration = Duration::from_secs(1);

/// Rejects orders whose `validate_by` has passed, until it is asked to drain.
pub(crate) async fn expire_orders(orders: Orders, drain: Drain) {
    let mut rhythm = Rhythm::every(EXPIRY_PERIOD, drain);
    while rhythm.beat().await {
        told("expire orders", expire_due(&orders).await);
    }
}

/// Forgets idempotency keys that are too old, until it is asked to drain.
pub(crate) async fn forget_keys(orders: Orders, drain: Drain) {
    let kept = Duration::from_millis(orders.config.idempotency_kept_ms);
    let mut rhythm = Rhythm::every(FORGETTING_PERIOD, drain);
    while rhythm.beat().await {
        let mut change = Change::new();
        rows::drop_old_keys(&mut change, Instant::now().minus(kept));
        told("forget idempotency keys", orders.store.commit(change).await);
    }
}

/// Sees that the channels that only clients outside read are there before the first message is, so that a client can subscribe to them.
/// Looks again whenever the bus was away, since it may have lost them. Until it is asked to drain.
pub(crate) async fn keep_channels_open(bus: Bus, drain: Drain) {
    let mut rhythm = Rhythm::every(OPENING_PERIOD, drain);
    let mut are_open = false;
    while rhythm.beat().await {
        are_open &= bus.is_connected();
        if are_open || !bus.is_connected() {
            continue;
        }
        let opened = bus.ensure(channel::ORDER_ANSWERS).await.and(bus.ensure(channel::ORDER_EVENTS).await);
        are_open = opened.is_ok();
        told("open the channels for clients", opened);
    }
}

/// Counts orders for the metrics, until it is asked to drain.
pub(crate) async fn observe(orders: Orders, drain: Drain) {
    let mut rhythm = Rhythm::every(COUNTING_PERIOD, drain);
    while rhythm.beat().await {
        told("count orders", count(&orders).await);
    }
}

/// Logs what failed; the next beat tries again.
fn told<T, E: std::error::Error + 'static>(doing: &'static str, result: Result<T, E>) {
    if let Err(error) = result {
        warn!(doing, error = &error as &dyn std::error::Error, "upkeep failed");
    }
}

async fn count(orders: &Orders) -> Result<(), Error> {
    let (undecided, forgotten) = rows::undecided(&orders.store).await?;
    orders.metrics.undecided(undecided, forgotten);
    orders.metrics.replica(orders.replica.size(), orders.replica.age());
    Ok(())
}

async fn expire_due(orders: &Orders) -> Result<(), Error> {
    for order_id in rows::expired(&orders.store, Instant::now(), EXPIRED_AT_ONCE).await? {
        expire(orders, order_id).await?;
    }
    Ok(())
}

async fn expire(orders: &Orders, order_id: OrderId) -> Result<(), Error> {
    let missing: Vec<String> =
        orders.journey(order_id).await?.awaited.iter().map(|awaited| awaited.command.replies().join(" or ")).collect();
    let message = format!("The order was not decided before its validateBy; missing: {}.", missing.join(", "));
    let reason = Reason { code: ReasonCode::ValidationTimedOut.into(), message, field: "validateBy".to_owned() };
    let (input, cause) = (Input::Expire, "validate_by");
    let push = Push { input, reasons: vec![reason], cause, answers: None, asker: None, traceparent: None };
    orders.advance(order_id, &push).await.map(|_| ())
}
