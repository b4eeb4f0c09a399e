//! What is particular to the embedded bus: what stands in its file, and when.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use messaging::{Bus, Channel, Embedded, Error, Keeps, Message, Subscription};
use std::time::{Duration, Instant};
use store::{Config, Statement, Store};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;

const CHANNELS: &[Channel] = &[
    Channel { name: "orders", keeps: Keeps::UntilAcknowledged, consumers: &["kitchen", "billing"] },
    Channel { name: "menus", keeps: Keeps::LastOfEachKey, consumers: &["search"] },
];

struct Opened {
    store: Store,
    bus: Bus,
}

async fn open(directory: &TempDir, channels: &'static [Channel], config: &Config) -> Opened {
    let store = Store::open_sqlite(&directory.path().join("channels.db"), config).unwrap();
    let bus = Bus::Embedded(Embedded::open(store.clone(), channels).await.unwrap());
    Opened { store, bus }
}

impl Opened {
    /// The effects of the messages that are kept.
    async fn kept(&self) -> Vec<String> {
        let query = Statement::new("SELECT effect_id FROM message ORDER BY sequence");
        let rows = self.store.query(query).await.unwrap();
        rows.into_iter().map(|mut row| row.take(0).unwrap()).collect()
    }

    async fn becomes_empty(&self) {
        eventually(Duration::from_secs(10), async || match self.kept().await.len() {
            0 => Ok(()),
            kept => Err(format!("{kept} messages are kept")),
        })
        .await;
    }
}

/// Polls until `probe` is `Ok`, and fails with its last complaint after `within`.
async fn eventually(within: Duration, mut probe: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = Instant::now() + within;
    while let Err(complaint) = probe().await {
        assert!(Instant::now() < deadline, "not within {within:?}: {complaint}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn order(effect: &str, size: usize) -> Message {
    Message::new("orders", "comanda.Test", "order".to_owned(), effect.to_owned(), vec![7; size])
}

async fn take(subscription: &mut Subscription) {
    let next = timeout(Duration::from_secs(10), subscription.next()).await;
    next.expect("a message is there").unwrap().acknowledge();
}

/// Keeps asking for the next message, as a consumer does that has nothing else to do.
fn idle(tasks: &mut JoinSet<()>, mut subscription: Subscription) {
    tasks.spawn(async move {
        while let Ok(delivery) = subscription.next().await {
            delivery.acknowledge();
        }
    });
}

#[tokio::test]
async fn a_message_is_dropped_when_all_consumers_have_acknowledged_it() {
    let directory = tempfile::tempdir().unwrap();
    let it = open(&directory, CHANNELS, &Config::default()).await;
    it.bus.publish(&[order("1", 0), order("2", 0)]).await.unwrap();
    let mut kitchen = it.bus.subscribe("orders", "kitchen").await.unwrap();
    take(&mut kitchen).await;
    take(&mut kitchen).await;
    drop(kitchen);
    let mut billing = it.bus.subscribe("orders", "billing").await.unwrap();
    take(&mut billing).await;
    let before = it.kept().await;

    take(&mut billing).await;
    drop(billing);

    assert_eq!(before, ["1", "2"]);
    it.becomes_empty().await;
}

#[tokio::test]
async fn an_acknowledgement_is_written_soon_though_no_message_follows() {
    let directory = tempfile::tempdir().unwrap();
    let it = open(&directory, CHANNELS, &Config::default()).await;
    let mut consumers = JoinSet::new();
    let mut held = Vec::new();
    for consumer in ["kitchen", "billing"] {
        let mut subscription = it.bus.subscribe("orders", consumer).await.unwrap();
        it.bus.publish(&[order(consumer, 0)]).await.unwrap();
        held.push(subscription.next().await.unwrap());
        idle(&mut consumers, subscription);
    }
    tokio::task::yield_now().await;

    for delivery in held {
        delivery.acknowledge();
    }

    it.becomes_empty().await;
}

#[tokio::test]
async fn an_acknowledgement_is_written_though_it_came_between_two_subscriptions() {
    let directory = tempfile::tempdir().unwrap();
    let it = open(&directory, CHANNELS, &Config::default()).await;
    it.bus.publish(&[order("1", 0)]).await.unwrap();
    let mut held = Vec::new();
    for consumer in ["kitchen", "billing"] {
        held.push(it.bus.subscribe("orders", consumer).await.unwrap().next().await.unwrap());
    }

    for delivery in held {
        delivery.acknowledge();
    }
    drop(it.bus.subscribe("orders", "kitchen").await.unwrap());
    drop(it.bus.subscribe("orders", "billing").await.unwrap());

    it.becomes_empty().await;
}

#[tokio::test]
async fn a_consumer_that_is_no_more_does_not_hold_messages_back() {
    const FEWER: &[Channel] = &[Channel { name: "orders", keeps: Keeps::UntilAcknowledged, consumers: &["kitchen"] }];
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory, CHANNELS, &Config::default()).await);

    let it = open(&directory, FEWER, &Config::default()).await;
    it.bus.publish(&[order("1", 0)]).await.unwrap();
    let mut kitchen = it.bus.subscribe("orders", "kitchen").await.unwrap();
    take(&mut kitchen).await;
    drop(kitchen);

    it.becomes_empty().await;
}

#[tokio::test]
async fn one_message_of_each_key_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let it = open(&directory, CHANNELS, &Config::default()).await;
    let menu = |key: &str, effect: &str| Message::new("menus", "T", key.to_owned(), effect.to_owned(), vec![]);

    it.bus.publish(&[menu("a", "a1"), menu("b", "b1"), menu("a", "a2")]).await.unwrap();
    it.bus.publish(&[menu("b", "b2"), order("a", 0)]).await.unwrap();

    assert_eq!(it.kept().await, ["a2", "b2", "a"]);
}

#[tokio::test]
async fn a_full_bus_refuses_and_flows_again_when_its_consumers_have_made_room() {
    let directory = tempfile::tempdir().unwrap();
    let it = open(&directory, CHANNELS, &Config { pages_max: Some(60) }).await;
    let mut consumers = JoinSet::new();
    let mut stored = 0;
    let refused = loop {
        match it.bus.publish(&[order(&stored.to_string(), 8 * 1024)]).await {
            Ok(()) => stored += 1,
            Err(refused) => break refused,
        }
        assert!(stored < 60);
    };

    assert!(matches!(refused, Error::Publish { acknowledged: 0, is_transient: true, .. }));
    assert_eq!(it.kept().await.len(), stored);
    idle(&mut consumers, it.bus.subscribe("orders", "kitchen").await.unwrap());
    idle(&mut consumers, it.bus.subscribe("orders", "billing").await.unwrap());
    eventually(Duration::from_secs(10), async || {
        it.bus.publish(&[order("after", 8 * 1024)]).await.map_err(|error| format!("{error:?}"))
    })
    .await;
}
