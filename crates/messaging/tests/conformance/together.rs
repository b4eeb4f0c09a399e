//! Many messages, many tasks, and futures that are dropped.

use crate::place::{PATIENCE, Place, effect, message, next, order, orders, subscribe, take_until};
use messaging::Delivery;
use std::collections::VecDeque;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

pub(crate) async fn a_waiting_subscription_is_woken(place: impl Place) {
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

pub(crate) async fn a_large_backlog_flows_though_it_is_acknowledged_out_of_order(place: impl Place) {
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

pub(crate) async fn many_acknowledgements_in_one_turn_all_count(place: impl Place) {
    let bus = place.open().await;
    bus.publish(&orders(1_000)).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let mut caught_up = subscription.caught_up();
    let mut held = Vec::new();
    for _ in 0..1_000 {
        held.push(next(&mut subscription).await);
    }

    held.into_iter().for_each(Delivery::acknowledge);

    assert!(timeout(PATIENCE, caught_up.wait_for(|is_caught_up| *is_caught_up)).await.unwrap().is_ok());
    drop((subscription, bus));
    let bus = place.open().await;
    bus.publish(&[order("end")]).await.unwrap();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "end").await, ["end"]);
}

pub(crate) async fn next_can_be_dropped_at_any_time(place: impl Place) {
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

pub(crate) async fn what_a_dropped_next_was_about_to_read_is_not_lost(place: impl Place) {
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

pub(crate) async fn a_dropped_publish_can_be_done_again(place: impl Place) {
    const COUNT: usize = 300;
    let bus = place.open().await;
    let messages = orders(COUNT);

    for turns in 0..40 {
        let impatient = async {
            for _ in 0..turns {
                yield_now().await;
            }
        };
        tokio::select! {
            biased;
            published = bus.publish(&messages) => published.unwrap(),
            () = impatient => {}
        }
    }
    bus.publish(&messages).await.unwrap();

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let expected: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    assert_eq!(take_until(&mut subscription, &(COUNT - 1).to_string()).await, expected);
}

pub(crate) async fn consumers_and_publishers_may_all_run_at_once(place: impl Place) {
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
