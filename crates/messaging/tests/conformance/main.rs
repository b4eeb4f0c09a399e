//! What every bus does, whichever is behind it: one suite for all adapters.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod place;

use messaging::{Delivery, Error, Message, MessageId};
use place::{Directory, PATIENCE, Place, Prefix, effect, menu, message, next, order, orders, subscribe, take_until};
use std::collections::VecDeque;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

/// Expands to one test per behaviour; a further adapter is one further line.
macro_rules! conformance {
    ($adapter:ident => $place:expr) => {
        conformance! { $adapter => $place;
            all_fields_of_a_message_survive,
            a_message_is_delivered_to_each_consumer_of_its_channel,
            order_holds_within_a_channel,
            a_repeated_id_is_stored_once_while_it_is_kept,
            publishing_nothing_is_allowed,
            a_message_for_an_unknown_channel_stops_its_batch,
            an_unknown_channel_or_consumer_is_an_error,
            a_consumer_has_one_subscription_at_a_time,
            a_dropped_delivery_comes_again_before_what_is_younger,
            a_new_subscription_delivers_what_was_not_acknowledged,
            a_reopened_bus_delivers_what_was_not_acknowledged,
            an_acknowledged_message_does_not_come_again_after_reopening,
            a_gap_in_the_acknowledgements_comes_again_after_reopening,
            messages_are_kept_for_a_consumer_that_has_not_run_yet,
            a_new_consumer_learns_the_last_message_of_each_key,
            a_consumer_that_has_the_last_message_gets_only_what_is_newer,
            a_message_held_by_a_handler_outlives_its_subscription,
            a_held_message_that_is_dropped_comes_to_the_new_subscription,
            a_subscription_that_has_nothing_to_do_is_caught_up,
            a_subscription_is_caught_up_when_the_old_messages_are_acknowledged,
            a_message_of_an_earlier_subscription_counts_for_being_caught_up,
            a_waiting_subscription_is_woken,
            a_large_backlog_flows_though_it_is_acknowledged_out_of_order,
            next_can_be_dropped_at_any_time,
            what_a_dropped_next_was_about_to_read_is_not_lost,
            consumers_and_publishers_may_all_run_at_once,
        }
    };
    ($adapter:ident => $place:expr; $($behaviour:ident,)+) => {
        mod $adapter {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour($place).await;
                }
            )+
        }
    };
}

conformance!(embedded => Directory::new());
conformance!(jetstream => Prefix::new().await);

async fn all_fields_of_a_message_survive(place: impl Place) {
    let bus = place.open().await;
    let mut full = message("orders", "naïve \0 key", "effect:1");
    full.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    full.causation_id = Some(MessageId::generate());
    full.created_us = i64::MIN;
    full.payload = (0..=255).collect();
    let bare = Message { payload: Vec::new(), kind: String::new(), key: String::new(), ..order("") };

    bus.publish(&[full.clone(), bare.clone()]).await.unwrap();

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let (first, second) = (next(&mut subscription).await, next(&mut subscription).await);
    assert_eq!((&**first.message(), &**second.message()), (&full, &bare));
}

async fn a_message_is_delivered_to_each_consumer_of_its_channel(place: impl Place) {
    let bus = place.open().await;
    let mut kitchen = subscribe(&bus, "orders", "kitchen").await;
    let mut billing = subscribe(&bus, "orders", "billing").await;
    let mut replies = subscribe(&bus, "replies", "orders").await;

    bus.publish(&[order("1"), message("replies", "order", "2")]).await.unwrap();

    assert_eq!(effect(&next(&mut kitchen).await), "1");
    assert_eq!(effect(&next(&mut billing).await), "1");
    assert_eq!(effect(&next(&mut replies).await), "2");
}

async fn order_holds_within_a_channel(place: impl Place) {
    let bus = place.open().await;

    for batch in orders(100).chunks(7) {
        bus.publish(batch).await.unwrap();
    }

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(take_until(&mut subscription, "99").await, expected);
}

async fn a_repeated_id_is_stored_once_while_it_is_kept(place: impl Place) {
    let bus = place.open().await;
    let messages = orders(3);

    bus.publish(&messages[..2]).await.unwrap();
    bus.publish(&messages).await.unwrap();
    bus.publish(&[messages[0].clone(), messages[0].clone(), order("end")]).await.unwrap();

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "end").await, ["0", "1", "2", "end"]);
}

async fn publishing_nothing_is_allowed(place: impl Place) {
    let bus = place.open().await;

    bus.publish(&[]).await.unwrap();
}

async fn a_message_for_an_unknown_channel_stops_its_batch(place: impl Place) {
    let bus = place.open().await;

    let refused = bus.publish(&[order("1"), message("nowhere", "key", "2")]).await.unwrap_err();
    bus.publish(&[order("end")]).await.unwrap();

    assert!(matches!(refused, Error::UnknownChannel { channel } if channel == "nowhere"));
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "end").await, ["end"]);
}

async fn an_unknown_channel_or_consumer_is_an_error(place: impl Place) {
    let bus = place.open().await;

    let no_consumer = bus.subscribe("orders", "search").await.unwrap_err();
    let no_channel = bus.subscribe("nowhere", "kitchen").await.unwrap_err();

    assert!(matches!(no_consumer, Error::UnknownConsumer { .. }), "{no_consumer:?}");
    assert!(matches!(no_channel, Error::UnknownConsumer { .. }), "{no_channel:?}");
}

async fn a_consumer_has_one_subscription_at_a_time(place: impl Place) {
    let bus = place.open().await;
    let first = subscribe(&bus, "orders", "kitchen").await;

    let refused = bus.subscribe("orders", "kitchen").await.unwrap_err();
    let of_another = bus.subscribe("orders", "billing").await;
    drop(first);
    let after = bus.subscribe("orders", "kitchen").await;

    assert!(matches!(refused, Error::AlreadySubscribed { .. }), "{refused:?}");
    assert!(of_another.is_ok() && after.is_ok());
}

async fn a_dropped_delivery_comes_again_before_what_is_younger(place: impl Place) {
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

async fn a_new_subscription_delivers_what_was_not_acknowledged(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    next(&mut subscription).await.acknowledge();
    drop(next(&mut subscription).await);

    drop(subscription);
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;

    assert_eq!(take_until(&mut subscription, "2").await, ["1", "2"]);
}

async fn a_reopened_bus_delivers_what_was_not_acknowledged(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let held = next(&mut subscription).await;

    drop((held, subscription, bus));
    let bus = place.open().await;

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "2").await, ["0", "1", "2"]);
}

async fn an_acknowledged_message_does_not_come_again_after_reopening(place: impl Place) {
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

async fn a_gap_in_the_acknowledgements_comes_again_after_reopening(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    next(&mut subscription).await.acknowledge();
    let gap = next(&mut subscription).await;
    next(&mut subscription).await.acknowledge();

    drop((gap, subscription, bus));
    let bus = place.open().await;

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let effects = take_until(&mut subscription, "2").await;
    assert!(effects == ["1", "2"] || effects == ["1"], "{effects:?}");
}

async fn messages_are_kept_for_a_consumer_that_has_not_run_yet(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut kitchen = subscribe(&bus, "orders", "kitchen").await;
    take_until(&mut kitchen, "2").await;

    drop((kitchen, bus));
    let bus = place.open().await;

    let mut billing = subscribe(&bus, "orders", "billing").await;
    assert_eq!(take_until(&mut billing, "2").await, ["0", "1", "2"]);
}

async fn a_new_consumer_learns_the_last_message_of_each_key(place: impl Place) {
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

async fn a_consumer_that_has_the_last_message_gets_only_what_is_newer(place: impl Place) {
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

async fn a_message_held_by_a_handler_outlives_its_subscription(place: impl Place) {
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

async fn a_held_message_that_is_dropped_comes_to_the_new_subscription(place: impl Place) {
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

async fn a_subscription_that_has_nothing_to_do_is_caught_up(place: impl Place) {
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

async fn a_subscription_is_caught_up_when_the_old_messages_are_acknowledged(place: impl Place) {
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

async fn a_message_of_an_earlier_subscription_counts_for_being_caught_up(place: impl Place) {
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

async fn a_waiting_subscription_is_woken(place: impl Place) {
    let bus = place.open().await;
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;

    for number in 0..50 {
        let effect_id = number.to_string();
        let publisher = async {
            yield_now().await;
            bus.publish(&[order(&effect_id)]).await.unwrap();
        };
        let (delivery, ()) = tokio::join!(next(&mut subscription), publisher);
        assert_eq!(effect(&delivery), effect_id);
        delivery.acknowledge();
    }
}

async fn a_large_backlog_flows_though_it_is_acknowledged_out_of_order(place: impl Place) {
    const COUNT: usize = 5_000;
    let bus = place.open().await;
    for batch in orders(COUNT).chunks(1_000) {
        bus.publish(batch).await.unwrap();
    }
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let caught_up = subscription.caught_up();

    let mut held = VecDeque::new();
    for number in 0..COUNT {
        let delivery = next(&mut subscription).await;
        assert_eq!(effect(&delivery), number.to_string());
        held.push_back(delivery);
        if held.len() == 700 {
            // The youngest first, and of the oldest half only one.
            held.drain(350..).rev().for_each(Delivery::acknowledge);
            held.pop_front().unwrap().acknowledge();
        }
    }
    assert!(!*caught_up.borrow());
    held.into_iter().rev().for_each(Delivery::acknowledge);

    assert!(*caught_up.borrow());
    drop((subscription, bus));
    let bus = place.open().await;
    bus.publish(&[order("end")]).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "end").await, ["end"]);
}

async fn next_can_be_dropped_at_any_time(place: impl Place) {
    const COUNT: usize = 600;
    let bus = place.open().await;
    let mut publishing = JoinSet::new();
    let publisher = bus.clone();
    publishing.spawn(async move {
        for message in orders(COUNT) {
            publisher.publish(&[message]).await.unwrap();
        }
    });

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let mut effects = Vec::new();
    for turns in (0..5).cycle() {
        let impatient = async {
            for _ in 0..turns {
                yield_now().await;
            }
        };
        tokio::select! {
            biased;
            delivery = next(&mut subscription) => {
                let delivery = delivery;
                effects.push(effect(&delivery).to_owned());
                delivery.acknowledge();
            }
            () = impatient => {}
        }
        if effects.len() == COUNT {
            break;
        }
        // Lets the reads that were begun come to an end.
        yield_now().await;
    }

    let expected: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    assert_eq!(effects, expected);
}

async fn what_a_dropped_next_was_about_to_read_is_not_lost(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(3)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;

    tokio::select! {
        biased;
        _ = subscription.next() => {}
        () = yield_now() => {}
    }

    assert_eq!(take_until(&mut subscription, "2").await, ["0", "1", "2"]);
}

async fn consumers_and_publishers_may_all_run_at_once(place: impl Place) {
    const PUBLISHERS: usize = 4;
    const COUNT: usize = 200;
    let bus = place.open().await;

    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let bus = bus.clone();
        publishers.spawn(async move {
            for number in 0..COUNT {
                let effect = format!("{number:05}");
                bus.publish(&[message("orders", &publisher.to_string(), &effect)]).await.unwrap();
            }
        });
    }
    let mut consumers = JoinSet::new();
    for consumer in ["kitchen", "billing"] {
        let mut subscription = subscribe(&bus, "orders", consumer).await;
        consumers.spawn(async move {
            let mut received = Vec::new();
            for number in 0..PUBLISHERS * COUNT {
                let delivery = next(&mut subscription).await;
                received.push((delivery.message().key.clone(), effect(&delivery).to_owned()));
                if number % 10 == 9 {
                    // Held over a change of subscription is covered elsewhere; here some are simply late.
                    yield_now().await;
                }
                delivery.acknowledge();
            }
            received
        });
    }

    for received in consumers.join_all().await {
        for publisher in 0..PUBLISHERS {
            let of_one = received.iter().filter(|(key, _)| *key == publisher.to_string());
            let effects: Vec<&String> = of_one.map(|(_, effect)| effect).collect();
            assert_eq!((effects.len(), effects.is_sorted()), (COUNT, true));
        }
    }
}
