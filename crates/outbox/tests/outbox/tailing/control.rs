//! What an operator tells a relay that tails, and what it leaves behind.

use super::{EPOCH, SLOTS, becomes_tailing, tailing, tailing_world, tails};
use crate::world::{PATIENCE, Running, World, eventually, message, messages, next, numbers, take_until};
use messaging::{Message, MessageId, Subscription};
use outbox::{Metrics, Publisher, pause, resume, switch};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use servers::Postgres;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{Change, PostgresConfig};

async fn becomes_polling(metrics: &Metrics) {
    eventually(PATIENCE, async || if metrics.is_tailing() { Err("still tails".to_owned()) } else { Ok(()) }).await;
}

/// Takes messages until each key has this many, and looks that the first time of each is in order.
async fn take_keys(subscription: &mut Subscription, keys: usize, count: usize) {
    let mut seen: BTreeSet<MessageId> = BTreeSet::new();
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    while by_key.len() < keys || by_key.values().any(|numbers| numbers.len() < count) {
        let delivery = next(subscription).await;
        let message: &Message = delivery.message();
        if seen.insert(message.id) {
            by_key.entry(message.key.clone()).or_default().push(message.effect_id.parse().unwrap());
        }
        delivery.acknowledge();
    }
    for (key, numbers) in by_key {
        assert!(numbers.iter().copied().eq(0..count), "{key}: {numbers:?}");
    }
}

#[tokio::test]
async fn switching_back_and_forth_under_load_loses_nothing_and_keeps_the_order_of_keys() {
    const KEYS: usize = 4;
    let Some(world) = tailing_world().await else { return };
    let relay = tails(&world).await;
    let (store, count) = (world.store.clone(), Arc::new(AtomicUsize::new(0)));
    let written = count.clone();
    let writing = Running::start(|drain| async move {
        while !drain.is_requested() {
            let number = written.load(Ordering::SeqCst);
            let mut change = Change::new();
            for key in 0..KEYS {
                outbox::append(&mut change, &message(&format!("key-{key}"), &number.to_string()));
            }
            store.commit(change).await.unwrap();
            written.store(number + 1, Ordering::SeqCst);
        }
    });

    for _ in 0..3 {
        switch(&world.store, Publisher::Polling).await.unwrap();
        becomes_polling(&world.metrics).await;
        world.becomes(SLOTS, 0).await;
        switch(&world.store, Publisher::Tailing).await.unwrap();
        becomes_tailing(&world.metrics).await;
    }
    writing.drain().await;

    take_keys(&mut world.subscribe().await, KEYS, count.load(Ordering::SeqCst)).await;
    world.all_is_published().await;
    relay.drain().await;
}

#[tokio::test]
async fn an_outbox_is_switched_whatever_the_configuration_says_and_back_to_that() {
    let Some(world) = World::on_postgres().await else { return };
    let relay = world.relay();
    world.becomes(EPOCH, 1).await;

    switch(&world.store, Publisher::Tailing).await.unwrap();
    becomes_tailing(&world.metrics).await;
    let status = outbox::status(&world.store).await.unwrap();
    assert_eq!((status.switched_to, status.is_tailed), (Some(Publisher::Tailing), true));

    switch(&world.store, Publisher::None).await.unwrap();
    becomes_polling(&world.metrics).await;
    world.becomes(SLOTS, 0).await;
    let status = outbox::status(&world.store).await.unwrap();
    assert_eq!((status.switched_to, status.is_tailed), (None, false));
    relay.drain().await;
}

#[tokio::test]
async fn a_paused_relay_leaves_the_log_and_comes_back() {
    let Some(world) = tailing_world().await else { return };
    let _relay = tails(&world).await;

    pause(&world.store).await.unwrap();
    becomes_polling(&world.metrics).await;
    world.becomes(SLOTS, 0).await;
    world.append(&messages(10)).await;
    assert_eq!(world.unpublished().await, 10);
    resume(&world.store).await.unwrap();

    assert_eq!(take_until(&mut world.subscribe().await, "9").await, numbers(0..10));
    becomes_tailing(&world.metrics).await;
}

#[tokio::test]
async fn a_drained_relay_has_published_everything_and_leaves_no_slot_behind() {
    let Some(world) = tailing_world().await else { return };
    let relay = tails(&world).await;
    world.append(&messages(600)).await;

    relay.drain().await;

    assert_eq!((world.unpublished().await, world.number(SLOTS).await), (0, 0));
}

#[tokio::test]
async fn what_is_replayed_is_published_again() {
    let Some(mut world) = tailing_world().await else { return };
    let mut registry = Registry::default();
    world.metrics = Metrics::register(&mut registry);
    let _relay = tails(&world).await;
    world.append(&messages(50)).await;
    world.all_is_published().await;

    outbox::replay(&world.store, 0).await.unwrap();

    eventually(PATIENCE, async || {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        if text.contains("outbox_published_total 100") { Ok(()) } else { Err(text) }
    })
    .await;
    world.all_is_published().await;
    becomes_tailing(&world.metrics).await;
}

#[tokio::test]
async fn a_relay_drains_though_the_bus_refuses() {
    let Some(world) = tailing_world().await else { return };
    let relay = tails(&world).await;
    world.append(&[Message { channel: "nowhere".to_owned(), ..message("order", "1") }]).await;
    world.bus_refuses_again().await;

    relay.drain().await;

    assert_eq!((world.unpublished().await, world.number(SLOTS).await), (1, 0));
}

#[tokio::test]
async fn what_the_bus_refuses_stays_unpublished_when_the_log_is_left() {
    if !Postgres::require() {
        return;
    }
    let url = Postgres::shared().await.database().await;
    let config = PostgresConfig { url, ..PostgresConfig::default() };
    let world = tailing(World::at(&config, &store::Config { pages_max: Some(80) }).await);
    let _relay = tails(&world).await;
    let fillers = world.fill_bus().await;
    world.append(&messages(100)).await;
    world.bus_refuses_again().await;

    switch(&world.store, Publisher::Polling).await.unwrap();
    becomes_polling(&world.metrics).await;
    world.becomes(SLOTS, 0).await;

    let unpublished = world.unpublished().await;
    assert!(unpublished > 90, "{unpublished}");
    world.empty_bus(fillers).await;
    assert_eq!(take_until(&mut world.subscribe().await, "99").await, numbers(0..100));
}

#[tokio::test]
async fn sqlite_cannot_be_switched_to_a_log_that_it_does_not_have() {
    let world = World::new().await;

    let refused = switch(&world.store, Publisher::Tailing).await.unwrap_err();

    assert!(refused.to_string().contains("SQLite has no log"), "{refused}");
    switch(&world.store, Publisher::Polling).await.unwrap();
}
