//! What works in one process works in many.

use e2e::{Shop, consumer, place_and_wait, restaurant};
use futures_util::future::join_all;
use serde_json::json;
use testkit::{Member, Stack, StackOptions};

#[tokio::test]
async fn an_order_is_approved_by_one_process_for_each_role() {
    if !servers::are_there() {
        return;
    }
    let stack = Stack::start(&StackOptions::default()).await;
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;

    let orders = join_all((0..50).map(|_| async { place_and_wait(&stack.http(), &shop.order()).await })).await;

    assert!(orders.iter().all(|order| order["state"] == "APPROVED"), "{orders:?}");
    let (code, report) = stack.verify().await;
    assert_eq!((code, &report["by_state"]), (Some(0), &json!({"APPROVED": 50})), "{report}");
}

#[tokio::test]
async fn a_relay_of_its_own_publishes_when_the_services_do_not() {
    if !servers::are_there() {
        return;
    }
    let none = |service: &str| (format!("COMANDA_{service}__OUTBOX__PUBLISHER"), "none".to_owned());
    let env = ["ORDER", "CONSUMER", "RESTAURANT"].map(none).to_vec();
    let stack = Stack::start(&StackOptions { relays: 1, env, ..StackOptions::default() }).await;
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;

    let order = place_and_wait(&stack.http(), &shop.order()).await;

    assert_eq!(order["state"], "APPROVED");
}

#[tokio::test]
async fn a_process_ends_in_order_when_it_is_asked_to() {
    if !servers::are_there() {
        return;
    }
    let mut stack = Stack::start(&StackOptions { relays: 1, ..StackOptions::default() }).await;

    for member in [Member::Gateway, Member::Order, Member::Relay(1), Member::Restaurant, Member::Consumer] {
        let ended = stack.terminate(member).await.expect("it was started");
        assert_eq!(ended.code, Some(0), "{member}: {}", ended.stderr);
    }
}
