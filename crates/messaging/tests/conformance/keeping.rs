//! What a bus keeps, for whom, and how it shows that it lost it.

use crate::place::{Place, effect, eventually, menu, message, next, order, orders, subscribe, take_until};

pub(crate) async fn messages_are_kept_for_a_consumer_that_has_not_run_yet(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut kitchen = subscribe(&bus, "orders", "kitchen").await;
    take_until(&mut kitchen, "2").await;

    drop((kitchen, bus));
    let bus = place.open().await;

    let mut billing = subscribe(&bus, "orders", "billing").await;
    assert_eq!(take_until(&mut billing, "2").await, ["0", "1", "2"]);
}

pub(crate) async fn a_consumer_that_was_away_gets_everything_in_order(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&[order("before")]).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    take_until(&mut subscription, "before").await;
    drop(subscription);

    for message in orders(20) {
        bus.publish(&[message]).await.unwrap();
    }

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(take_until(&mut subscription, "19").await, expected);
}

pub(crate) async fn the_backlog_is_what_is_not_acknowledged(place: impl Place) {
    let bus = place.open().await;
    let backlog_is = async |expected| {
        eventually(async || match bus.backlog("orders", "kitchen").await.unwrap() {
            backlog if backlog == expected => Ok(()),
            backlog => Err(format!("the backlog is {backlog} and not {expected}")),
        })
        .await;
    };
    backlog_is(0).await;

    bus.publish(&orders(5)).await.unwrap();
    backlog_is(5).await;
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let held = next(&mut subscription).await;
    next(&mut subscription).await.acknowledge();
    backlog_is(4).await;
    held.acknowledge();
    take_until(&mut subscription, "4").await;

    backlog_is(0).await;
    assert_eq!(bus.backlog("orders", "billing").await.unwrap(), 5);
}

pub(crate) async fn a_new_consumer_learns_the_last_message_of_each_key(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&[menu("a", "a1"), menu("b", "b1"), menu("a", "a2")]).await.unwrap();
    let mut early = subscribe(&bus, "menus", "orders").await;
    take_until(&mut early, "a2").await;
    bus.publish(&[menu("b", "b2"), menu("c", "c1")]).await.unwrap();
    take_until(&mut early, "c1").await;

    drop((early, bus));
    let bus = place.open().await;

    let mut late = subscribe(&bus, "menus", "search").await;
    assert_eq!(take_until(&mut late, "c1").await, ["a2", "b2", "c1"]);
}

pub(crate) async fn a_consumer_that_has_the_last_message_gets_only_what_is_newer(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&[menu("a", "a1"), menu("b", "b1")]).await.unwrap();
    let mut subscription = subscribe(&bus, "menus", "orders").await;
    take_until(&mut subscription, "b1").await;

    drop((subscription, bus));
    let bus = place.open().await;
    bus.publish(&[menu("a", "a2")]).await.unwrap();

    let mut subscription = subscribe(&bus, "menus", "orders").await;
    assert_eq!(take_until(&mut subscription, "a2").await, ["a2"]);
}

pub(crate) async fn what_is_for_subscribers_goes_to_the_named_consumers_too(place: impl Place) {
    let bus = place.open().await;

    bus.publish(&[message("news", "order", "1")]).await.unwrap();

    let mut archive = subscribe(&bus, "news", "archive").await;
    assert_eq!(effect(&next(&mut archive).await), "1");
}

pub(crate) async fn in_one_life_the_number_of_the_newest_message_never_goes_back(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let first = bus.incarnation("orders").await.unwrap().unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    take_until(&mut subscription, "2").await;
    drop((subscription, bus));

    let bus = place.open().await;
    let reopened = bus.incarnation("orders").await.unwrap().unwrap();
    bus.publish(&[order("later")]).await.unwrap();
    let later = bus.incarnation("orders").await.unwrap().unwrap();

    assert_eq!(reopened, first);
    assert_eq!(later.created_us, first.created_us);
    assert!(later.last_sequence > first.last_sequence);
}

pub(crate) async fn a_bus_that_lost_everything_begins_another_life(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let before = bus.incarnation("orders").await.unwrap().unwrap();
    drop(bus);
    place.lose_everything().await;

    let bus = place.open().await;
    let lost = bus.incarnation("orders").await.unwrap();
    bus.publish(&[order("after")]).await.unwrap();
    let after = bus.incarnation("orders").await.unwrap().unwrap();

    assert!(lost.is_none_or(|lost| lost.created_us != before.created_us), "{lost:?}");
    assert!(after.created_us > before.created_us);
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "after").await, ["after"]);
}
