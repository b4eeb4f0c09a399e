//! Where the buses under test keep their messages, and how the tests speak with them.

use messaging::{
    Bus, Channel, Delivery, Embedded, JetStream, JetStreamConfig, Keeps, Message, MessageId, Subscription,
};
use servers::Nats;
use std::future::Future;
use std::time::Duration;
use store::{Config, Store};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

pub(crate) const CHANNELS: &[Channel] = &[
    Channel { name: "orders", keeps: Keeps::UntilAcknowledged, consumers: &["kitchen", "billing"] },
    Channel { name: "replies", keeps: Keeps::UntilAcknowledged, consumers: &["orders"] },
    Channel { name: "menus", keeps: Keeps::LastOfEachKey, consumers: &["orders", "search"] },
    Channel { name: "news", keeps: Keeps::ForSubscribers, consumers: &["archive"] },
];

/// Longer than any of these waits on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where one bus keeps its messages; it can be opened again and again.
pub(crate) trait Place {
    fn open(&self) -> impl Future<Output = Bus>;

    /// Loses all that is kept there, while no bus is open.
    fn lose_everything(&self) -> impl Future<Output = ()>;
}

pub(crate) struct Directory(TempDir);

impl Directory {
    /// `None` never: other places may be missing.
    pub(crate) fn new() -> Option<Self> {
        Some(Directory(tempfile::tempdir().unwrap()))
    }
}

impl Place for Directory {
    async fn open(&self) -> Bus {
        let store = Store::open_sqlite(&self.0.path().join("channels.db"), &Config::default()).unwrap();
        Bus::Embedded(Embedded::open(store, CHANNELS).await.unwrap())
    }

    async fn lose_everything(&self) {
        for file in std::fs::read_dir(self.0.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}

/// A part of the tests' NATS server that no other test uses.
pub(crate) struct Prefix(JetStreamConfig);

impl Prefix {
    /// `None` when there is no server.
    pub(crate) async fn new() -> Option<Self> {
        if !Nats::require() {
            return None;
        }
        let servers = vec![Nats::shared().await.url()];
        let prefix = format!("test-{}", MessageId::generate());
        Some(Prefix(JetStreamConfig { servers, prefix, ..JetStreamConfig::default() }))
    }
}

impl Place for Prefix {
    async fn open(&self) -> Bus {
        Bus::JetStream(JetStream::connect(&self.0, CHANNELS).await.unwrap())
    }

    async fn lose_everything(&self) {
        let client = async_nats::connect(&self.0.servers[0]).await.unwrap();
        let broker = async_nats::jetstream::new(client);
        for channel in CHANNELS {
            let stream = format!("{}_{}", self.0.prefix, channel.name).to_uppercase().replace(['-', '.'], "_");
            // A channel that nobody has used has no stream.
            drop(broker.delete_stream(stream).await);
        }
    }
}

pub(crate) fn message(channel: &str, key: &str, effect: &str) -> Message {
    Message::new(channel, "comanda.Test", key.to_owned(), effect.to_owned(), effect.as_bytes().to_vec())
}

pub(crate) fn order(effect: &str) -> Message {
    message("orders", "order", effect)
}

/// Messages with the effects `0`, `1` and so on.
pub(crate) fn orders(count: usize) -> Vec<Message> {
    (0..count).map(|number| order(&number.to_string())).collect()
}

pub(crate) fn menu(key: &str, effect: &str) -> Message {
    message("menus", key, effect)
}

/// Polls until `probe` is `Ok`, and fails with its last complaint after [`PATIENCE`].
pub(crate) async fn eventually(mut probe: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(complaint) = probe().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {complaint}");
        sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn subscribe(bus: &Bus, channel: &str, consumer: &str) -> Subscription {
    bus.subscribe(channel, consumer).await.unwrap()
}

pub(crate) async fn next(subscription: &mut Subscription) -> Delivery {
    timeout(PATIENCE, subscription.next()).await.expect("a message is there").unwrap()
}

pub(crate) fn effect(delivery: &Delivery) -> &str {
    &delivery.message().effect_id
}

/// Receives and acknowledges until the message with this effect, and returns the effects of all.
pub(crate) async fn take_until(subscription: &mut Subscription, last: &str) -> Vec<String> {
    let mut effects = Vec::new();
    while effects.last().is_none_or(|effect| effect != last) {
        let delivery = next(subscription).await;
        effects.push(effect(&delivery).to_owned());
        delivery.acknowledge();
    }
    effects
}
