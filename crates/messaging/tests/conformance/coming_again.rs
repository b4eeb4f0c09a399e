//! What is not acknowledged: when, and where, it comes again.

use crate::place::{Place, effect, menu, next, order, orders, subscribe, take_until};
use messaging::Error;
use tokio::task::{JoinSet, yield_now};

pub(crate) async fn a_consumer_has_one_subscription_at_a_time(place: impl Place) {
    let bus = place.open().await;
    let first = subscribe(&bus, "orders", "kitchen").await;

    let refused = bus.subscribe("orders", "kitchen").await.unwrap_err();
    let of_another = bus.subscribe("orders", "billing").await;
    drop(first);
    let after = bus.subscribe("orders", "kitchen").await;

    assert!(matches!(refused, Error::AlreadySubscribed { .. }), "{refused:?}");
    assert!(of_another.is_ok() && after.is_ok());
}

pub(crate) async fn a_dropped_delivery_comes_again_before_what_is_younger(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(4)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut subscription).await);
    }

    drop(held.remove(2));
    drop(held.remove(0));
    held.remove(0).acknowledge();

    assert_eq!(take_until(&mut subscription, "3").await, ["0", "2", "3"]);
}

pub(crate) async fn a_new_subscription_delivers_what_was_not_acknowledged(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    next(&mut subscription).await.acknowledge();
    drop(next(&mut subscription).await);

    drop(subscription);
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;

    assert_eq!(take_until(&mut subscription, "2").await, ["1", "2"]);
}

pub(crate) async fn a_reopened_bus_delivers_what_was_not_acknowledged(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let held = next(&mut subscription).await;

    drop((held, subscription, bus));
    let bus = place.open().await;

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "2").await, ["0", "1", "2"]);
}

pub(crate) async fn an_acknowledged_message_does_not_come_again_after_reopening(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(2)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    take_until(&mut subscription, "1").await;

    drop((subscription, bus));
    let bus = place.open().await;
    bus.publish(&[order("end")]).await.unwrap();

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "end").await, ["end"]);
    let mut other = subscribe(&bus, "orders", "billing").await;
    assert_eq!(take_until(&mut other, "end").await, ["0", "1", "end"]);
}

pub(crate) async fn a_gap_in_the_acknowledgements_comes_again_after_reopening(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    next(&mut subscription).await.acknowledge();
    let gap = next(&mut subscription).await;
    next(&mut subscription).await.acknowledge();

    drop((gap, subscription, bus));
    let bus = place.open().await;
    bus.publish(&[order("end")]).await.unwrap();

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let effects = take_until(&mut subscription, "end").await;
    assert!(effects == ["1", "2", "end"] || effects == ["1", "end"], "{effects:?}");
}

pub(crate) async fn a_message_held_by_a_handler_outlives_its_subscription(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let held = next(&mut subscription).await;

    drop(subscription);
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let effects = take_until(&mut subscription, "2").await;
    held.acknowledge();
    drop((subscription, bus));
    let bus = place.open().await;
    bus.publish(&[order("end")]).await.unwrap();

    assert_eq!(effects, ["1", "2"]);
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "end").await, ["end"]);
}

pub(crate) async fn a_held_message_that_is_dropped_comes_to_the_new_subscription(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(2)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let held = next(&mut subscription).await;
    drop(subscription);
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "1").await, ["1"]);

    let mut waiting = JoinSet::new();
    waiting.spawn(async move { effect(&next(&mut subscription).await).to_owned() });
    yield_now().await;
    drop(held);

    assert_eq!(waiting.join_next().await.unwrap().unwrap(), "0");
}

pub(crate) async fn a_rewound_consumer_gets_everything_that_is_kept_again(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&[menu("a", "a1"), menu("b", "b1"), menu("a", "a2")]).await.unwrap();
    let mut subscription = subscribe(&bus, "menus", "orders").await;
    take_until(&mut subscription, "a2").await;
    drop(subscription);

    bus.rewind("menus", "orders").await.unwrap();

    let mut subscription = subscribe(&bus, "menus", "orders").await;
    assert_eq!(take_until(&mut subscription, "a2").await, ["b1", "a2"]);
}

pub(crate) async fn a_consumer_that_is_rewound_while_it_is_subscribed_gets_everything_in_order(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&[menu("a", "a1"), menu("b", "b1"), menu("c", "c1")]).await.unwrap();
    let mut subscription = subscribe(&bus, "menus", "orders").await;
    next(&mut subscription).await.acknowledge();

    bus.rewind("menus", "orders").await.unwrap();

    // What was read before may come first.
    let mut effects = take_until(&mut subscription, "c1").await;
    if effects.first().is_some_and(|first| first != "a1") {
        effects = take_until(&mut subscription, "c1").await;
    }
    assert_eq!(effects, ["a1", "b1", "c1"]);
}
