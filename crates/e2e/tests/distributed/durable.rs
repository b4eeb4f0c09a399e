//! What was acknowledged survives servers that are killed, and a broker that loses everything.

use e2e::{Shop, all_in_state, consumer, place, place_and_wait, restaurant};
use futures_util::future::join_all;
use testkit::{Member, Stack, StackOptions};

const ORDERS: usize = 40;

async fn stack_with_a_shop() -> (Stack, Shop) {
    let stack = Stack::start(&StackOptions::default()).await;
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;
    assert_eq!(place_and_wait(&stack.http(), &shop.order()).await["state"], "APPROVED");
    (stack, shop)
}

#[tokio::test]
async fn a_broker_that_lost_all_that_it_had_acknowledged_delays_orders_and_loses_none() {
    if !servers::are_there() {
        return;
    }
    let (mut stack, shop) = stack_with_a_shop().await;
    stack.kill9(Member::Consumer);
    stack.kill9(Member::Restaurant);
    join_all((0..ORDERS).map(|_| async { place(&stack.http(), &shop.order()).await })).await;

    // Published, acknowledged, and gone.
    stack.nats.wipe_and_restart().await;
    stack.spawn(Member::Consumer);
    stack.spawn(Member::Restaurant);

    all_in_state(&stack.http(), "APPROVED", ORDERS + 1).await;
    assert_eq!(stack.verify().await.0, Some(0));
}

#[tokio::test]
async fn a_database_server_that_is_killed_loses_no_order() {
    if !servers::are_there() {
        return;
    }
    let (mut stack, shop) = stack_with_a_shop().await;
    join_all((0..ORDERS).map(|_| async { place(&stack.http(), &shop.order()).await })).await;

    stack.postgres.kill9();
    stack.postgres.restart().await;
    stack.wait_until_ready().await;

    all_in_state(&stack.http(), "APPROVED", ORDERS + 1).await;
    assert_eq!(stack.verify().await.0, Some(0));
}
