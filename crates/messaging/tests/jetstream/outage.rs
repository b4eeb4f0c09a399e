//! A broker that dies, a line that breaks or falls silent, a process that is gone.

use crate::support::{
    PATIENCE, broker, chain, connect, each_is_there_once_and_in_order, effect, eventually, message, next, numbered,
    order, publish_all, settings, stored, stream_of, subscribe, take_until,
};
use messaging::{Bus, JetStreamConfig, Message};
use servers::{Nats, Proxy};
use std::time::Duration;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, timeout};

/// Settings that lead through a proxy.
fn through(proxy: &Proxy) -> JetStreamConfig {
    settings(vec![format!("nats://{}", proxy.address())])
}

/// Waits until the bus has noticed that its line is gone.
async fn is_lost(bus: &Bus) {
    eventually(async || if bus.is_connected() { Err("it believes in its line".to_owned()) } else { Ok(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_through_kills_is_stored_once_and_in_order() {
    const BATCHES: usize = 60;
    const BATCH: usize = 200;
    if !Nats::require() {
        return;
    }
    let mut nats = Nats::start().await;
    let bus = connect(&settings(vec![nats.url()])).await;
    let publisher = bus.clone();
    let mut publishing = JoinSet::new();
    publishing.spawn(async move {
        for batch in 0..BATCHES {
            publish_all(&publisher, &numbered(batch * BATCH, BATCH)).await;
        }
    });

    for part in 1..=3 {
        let enough = u64::try_from(BATCHES * BATCH * part / 5).unwrap();
        eventually(async || match bus.incarnation("orders").await {
            Ok(Some(life)) if life.last_sequence >= enough => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        nats.kill9();
        nats.restart().await;
    }

    publishing.join_all().await;
    assert_eq!(stored(&bus).await, (BATCHES * BATCH) as u64);
    each_is_there_once_and_in_order(&bus, "kitchen", BATCHES * BATCH).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_goes_on_after_a_restart_and_what_was_held_counts() {
    if !Nats::require() {
        return;
    }
    let mut nats = Nats::start().await;
    let config = settings(vec![nats.url()]);
    let bus = connect(&config).await;
    bus.publish(&[order("1"), order("2")]).await.unwrap();
    let mut subscription = subscribe(&bus, "kitchen").await;
    let held = next(&mut subscription).await;
    next(&mut subscription).await.acknowledge();

    nats.kill9();
    is_lost(&bus).await;
    held.acknowledge();
    nats.restart().await;

    publish_all(&bus, &[order("3")]).await;
    let effects = take_until(&mut subscription, "3").await;
    // The second acknowledgement was on its way when the server died.
    assert!(effects == ["3"] || effects == ["2", "3"], "{effects:?}");
    drop((subscription, bus));
    let bus = connect(&config).await;
    bus.publish(&[order("end")]).await.unwrap();
    assert_eq!(take_until(&mut subscribe(&bus, "kitchen").await, "end").await, ["end"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_process_held_comes_to_another() {
    if !Nats::require() {
        return;
    }
    let nats = Nats::shared().await;
    let proxy = Proxy::start(nats.address()).await;
    let config = through(&proxy);
    let lost = connect(&config).await;
    lost.publish(&[order("1"), order("2")]).await.unwrap();
    let mut subscription = subscribe(&lost, "kitchen").await;
    let held = next(&mut subscription).await;

    proxy.cut();

    let other = connect(&JetStreamConfig { servers: vec![nats.url()], ..config }).await;
    assert_eq!(take_until(&mut subscribe(&other, "kitchen").await, "2").await, ["1", "2"]);
    assert_eq!(effect(&held), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_held_for_long_does_not_come_again() {
    if !Nats::require() {
        return;
    }
    let config = settings(vec![Nats::shared().await.url()]);
    let (one, other) = (connect(&config).await, connect(&config).await);
    one.publish(&[order("long")]).await.unwrap();
    let mut of_one = subscribe(&one, "kitchen").await;
    let held = next(&mut of_one).await;
    let mut of_other = subscribe(&other, "kitchen").await;

    let meanwhile = timeout(Duration::from_millis(2 * config.ack_wait_ms), of_other.next()).await;

    assert!(meanwhile.is_err(), "{meanwhile:?}");
    let stream = broker(&config.servers[0]).await.get_stream(stream_of(&config, "orders")).await.unwrap();
    assert_eq!(stream.consumer_info("kitchen").await.unwrap().num_redelivered, 0);
    held.acknowledge();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_went_dead_without_a_word_is_replaced() {
    if !Nats::require() {
        return;
    }
    let nats = Nats::shared().await;
    let proxy = Proxy::start(nats.address()).await;
    let config = through(&proxy);
    let bus = connect(&config).await;
    bus.publish(&[order("before")]).await.unwrap();
    let mut subscription = subscribe(&bus, "kitchen").await;
    take_until(&mut subscription, "before").await;

    proxy.black_hole();
    let began = Instant::now();
    is_lost(&bus).await;
    let noticed_after = began.elapsed();
    let other = connect(&JetStreamConfig { servers: vec![nats.url()], ..config }).await;
    other.publish(&[order("meanwhile")]).await.unwrap();
    proxy.heal();

    assert!(noticed_after < Duration::from_secs(20), "{noticed_after:?}");
    let healed = Instant::now();
    assert_eq!(take_until(&mut subscription, "meanwhile").await, ["meanwhile"]);
    assert!(healed.elapsed() < Duration::from_secs(15), "{:?}", healed.elapsed());
    publish_all(&bus, &[order("after")]).await;
    assert_eq!(take_until(&mut subscription, "after").await, ["after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_answers_are_lost_fails_in_time_and_is_stored_once() {
    if !Nats::require() {
        return;
    }
    let proxy = Proxy::start(Nats::shared().await.address()).await;
    let config = through(&proxy);
    let bus = connect(&config).await;
    bus.publish(&numbered(0, 10)).await.unwrap();
    let batch = numbered(10, 500);

    proxy.black_hole_answers();
    let began = Instant::now();
    let refused = bus.publish(&batch).await.unwrap_err();
    let took = began.elapsed();
    proxy.heal();
    publish_all(&bus, &batch).await;

    assert!(refused.is_transient() && took < PATIENCE / 2, "{took:?}: {}", chain(&refused));
    eventually(async || match stored(&bus).await {
        510 => Ok(()),
        stored => Err(format!("{stored} are stored")),
    })
    .await;
    each_is_there_once_and_in_order(&bus, "kitchen", 510).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_with_a_line_is_never_stored_later() {
    if !Nats::require() {
        return;
    }
    let nats = Nats::shared().await;
    let proxy = Proxy::start(nats.address()).await;
    let config = through(&proxy);
    let bus = connect(&config).await;
    bus.publish(&[order("0")]).await.unwrap();
    // More than fits on the way to the server, so that most of it stays in this process.
    let large =
        (1..=1_000).map(|number| Message { payload: vec![7; 16 << 10], ..message(&number.to_string(), "stale") });

    proxy.black_hole();
    bus.publish(&large.collect::<Vec<_>>()).await.unwrap_err();
    proxy.cut();
    is_lost(&bus).await;
    proxy.heal();

    publish_all(&bus, &[order("1")]).await;
    let before = stored(&bus).await;
    let grew = async {
        while stored(&bus).await == before {
            yield_now().await;
        }
    };
    // Longer than a client waits before it connects again.
    assert!(timeout(Duration::from_secs(3), grew).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_in_the_middle_of_batches_loses_and_repeats_nothing() {
    const BATCHES: usize = 40;
    const BATCH: usize = 250;
    if !Nats::require() {
        return;
    }
    let proxy = Proxy::start(Nats::shared().await.address()).await;
    let bus = connect(&through(&proxy)).await;
    let publisher = bus.clone();
    let mut publishing = JoinSet::new();
    publishing.spawn(async move {
        for batch in 0..BATCHES {
            publish_all(&publisher, &numbered(batch * BATCH, BATCH)).await;
        }
    });

    for part in 1..=4 {
        let enough = u64::try_from(BATCHES * BATCH * part / 6).unwrap();
        eventually(async || match bus.incarnation("orders").await {
            Ok(Some(life)) if life.last_sequence >= enough => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        proxy.cut();
        is_lost(&bus).await;
        proxy.heal();
    }

    publishing.join_all().await;
    eventually(async || match bus.incarnation("orders").await {
        Ok(Some(life)) if life.last_sequence == (BATCHES * BATCH) as u64 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    each_is_there_once_and_in_order(&bus, "kitchen", BATCHES * BATCH).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_at_the_start_is_waited_for() {
    if !Nats::require() {
        return;
    }
    let mut nats = Nats::start().await;
    nats.kill9();

    let bus = connect(&settings(vec![nats.url()])).await;
    let mut subscription = subscribe(&bus, "kitchen").await;
    let unpublished = bus.publish(&[order("1")]).await.unwrap_err();
    let unasked = bus.incarnation("orders").await.unwrap_err();

    assert!(!bus.is_connected() && bus.durability().contains("away"), "{}", bus.durability());
    for refused in [unpublished, unasked] {
        assert!(refused.is_transient());
        assert!(chain(&refused).contains("NATS is not connected"), "{}", chain(&refused));
    }
    nats.restart().await;
    publish_all(&bus, &[order("1")]).await;
    assert_eq!(take_until(&mut subscription, "1").await, ["1"]);
}
