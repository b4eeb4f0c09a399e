//! Loose coupling between processes: orders are taken with the broker and every other service away.

use e2e::{Shop, all_in_state, consumer, order, place, place_and_wait, restaurant};
use futures_util::future::join_all;
use serde_json::json;
use testkit::{Member, Stack, StackOptions};

/// Orders that are taken during an outage: enough that relays and handlers work in batches.
const ORDERS: usize = 100;

#[tokio::test]
async fn with_the_broker_and_both_services_down_orders_are_taken_and_decided_when_they_are_back() {
    if !servers::are_there() {
        return;
    }
    let mut stack = Stack::start(&StackOptions::default()).await;
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;
    // The Order Service must know of the restaurant before it is left alone.
    assert_eq!(place_and_wait(&stack.http(), &shop.order()).await["state"], "APPROVED");

    stack.nats.kill9();
    stack.kill9(Member::Consumer);
    stack.kill9(Member::Restaurant);
    let placed = join_all((0..ORDERS).map(|_| async { place(&stack.http(), &shop.order()).await })).await;
    for order_id in &placed {
        assert_eq!(order(&stack.http(), order_id).await["state"], "PENDING");
    }

    stack.nats.restart().await;
    stack.spawn(Member::Consumer);
    stack.spawn(Member::Restaurant);
    all_in_state(&stack.http(), "APPROVED", ORDERS + 1).await;
    let (code, report) = stack.verify().await;
    assert_eq!((code, &report["disagreements"]), (Some(0), &json!([])), "{report}");
}

#[tokio::test]
async fn an_order_service_that_starts_while_the_broker_is_down_takes_orders() {
    if !servers::are_there() {
        return;
    }
    let mut stack = Stack::start(&StackOptions::default()).await;
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;
    assert_eq!(place_and_wait(&stack.http(), &shop.order()).await["state"], "APPROVED");

    stack.nats.kill9();
    stack.kill9(Member::Order);
    stack.spawn(Member::Order);
    stack.wait_until_ready().await;
    place(&stack.http(), &shop.order()).await;

    stack.nats.restart().await;
    all_in_state(&stack.http(), "APPROVED", 2).await;
}
