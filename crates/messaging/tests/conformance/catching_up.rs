//! When a subscription has dealt with all that was there when it began.

use crate::place::{PATIENCE, Place, next, order, orders, subscribe, take_until};
use tokio::time::timeout;

pub(crate) async fn a_subscription_that_has_nothing_to_do_is_caught_up(place: impl Place) {
    let bus = place.open().await;
    let of_nothing = subscribe(&bus, "orders", "kitchen").await.caught_up();
    bus.publish(&orders(1)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    take_until(&mut subscription, "0").await;

    drop(subscription);
    let subscription = subscribe(&bus, "orders", "kitchen").await;

    assert!(*of_nothing.borrow());
    assert!(*subscription.caught_up().borrow());
}

pub(crate) async fn a_subscription_is_caught_up_when_the_old_messages_are_acknowledged(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(2)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let mut caught_up = subscription.caught_up();
    bus.publish(&[order("later")]).await.unwrap();

    let (first, second) = (next(&mut subscription).await, next(&mut subscription).await);
    second.acknowledge();
    let with_a_gap = *caught_up.borrow();
    first.acknowledge();

    assert!(!with_a_gap);
    assert!(timeout(PATIENCE, caught_up.wait_for(|is_caught_up| *is_caught_up)).await.unwrap().is_ok());
}

pub(crate) async fn a_message_of_an_earlier_subscription_counts_for_being_caught_up(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(1)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let held = next(&mut subscription).await;
    drop(subscription);
    let subscription = subscribe(&bus, "orders", "kitchen").await;
    let mut caught_up = subscription.caught_up();
    assert!(!*caught_up.borrow());

    held.acknowledge();

    assert!(timeout(PATIENCE, caught_up.wait_for(|is_caught_up| *is_caught_up)).await.unwrap().is_ok());
}
