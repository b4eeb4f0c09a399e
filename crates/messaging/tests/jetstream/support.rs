//! How these tests speak with a bus, and with the broker behind its back.

use async_nats::jetstream::Context;
use messaging::{Bus, Channel, Delivery, Error, JetStream, JetStreamConfig, Keeps, Message, MessageId, Subscription};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

pub(crate) const CHANNELS: &[Channel] = &[
    Channel { name: "orders", keeps: Keeps::UntilAcknowledged, consumers: &["kitchen", "billing"] },
    Channel { name: "menus", keeps: Keeps::LastOfEachKey, consumers: &["search"] },
];

/// Longer than any of these waits on a busy machine, a dead line included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Settings for a part of a server that no other test uses, with short waits.
pub(crate) fn settings(servers: Vec<String>) -> JetStreamConfig {
    let prefix = format!("test-{}", MessageId::generate());
    let (publish_timeout_ms, request_timeout_ms, ack_wait_ms) = (3_000, 3_000, 3_000);
    JetStreamConfig {
        servers,
        prefix,
        publish_timeout_ms,
        request_timeout_ms,
        ack_wait_ms,
        ..JetStreamConfig::default()
    }
}

pub(crate) async fn connect(config: &JetStreamConfig) -> Bus {
    Bus::JetStream(JetStream::connect(config, CHANNELS).await.unwrap())
}

/// The broker, as an operator sees it.
pub(crate) async fn broker(url: &str) -> Context {
    async_nats::jetstream::new(async_nats::connect(url).await.unwrap())
}

pub(crate) fn stream_of(config: &JetStreamConfig, channel: &str) -> String {
    format!("{}_{channel}", config.prefix).to_uppercase().replace(['-', '.'], "_")
}

pub(crate) fn message(key: &str, effect: &str) -> Message {
    Message::new("orders", "comanda.Test", key.to_owned(), effect.to_owned(), effect.as_bytes().to_vec())
}

pub(crate) fn order(effect: &str) -> Message {
    message("order", effect)
}

/// So many messages of ten keys; the effects are the numbers from `first` on.
pub(crate) fn numbered(first: usize, count: usize) -> Vec<Message> {
    (first..first + count).map(|number| message(&(number % 10).to_string(), &number.to_string())).collect()
}

/// Publishes as a relay does: from the oldest message on that is not stored for certain, until all are.
pub(crate) async fn publish_all(bus: &Bus, messages: &[Message]) {
    let deadline = Instant::now() + PATIENCE;
    let mut rest = messages;
    loop {
        match bus.publish(rest).await {
            Ok(()) => return,
            Err(error) => {
                assert!(error.is_transient() && Instant::now() < deadline, "{}", chain(&error));
                if let Error::Publish { acknowledged, .. } = error {
                    rest = &rest[acknowledged..];
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

pub(crate) async fn subscribe(bus: &Bus, consumer: &str) -> Subscription {
    bus.subscribe("orders", consumer).await.unwrap()
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

/// Reads so many messages from the beginning, and fails unless each number came once, and in order within its key.
pub(crate) async fn each_is_there_once_and_in_order(bus: &Bus, consumer: &str, count: usize) {
    let mut subscription = subscribe(bus, consumer).await;
    let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
    for _ in 0..count {
        let delivery = next(&mut subscription).await;
        let number = effect(&delivery).parse().unwrap();
        by_key.entry(delivery.message().key.clone()).or_default().push(number);
        delivery.acknowledge();
    }
    for (key, numbers) in by_key {
        let expected: Vec<usize> = (key.parse().unwrap()..count).step_by(10).collect();
        assert_eq!(numbers, expected, "key {key}");
    }
}

/// How many messages the broker ever stored; asked again while the line is just coming back.
pub(crate) async fn stored(bus: &Bus) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match bus.incarnation("orders").await {
            Ok(incarnation) => return incarnation.map_or(0, |incarnation| incarnation.last_sequence),
            Err(error) => assert!(error.is_transient() && Instant::now() < deadline, "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Polls until `probe` is `Ok`, and fails with its last complaint after [`PATIENCE`].
pub(crate) async fn eventually(mut probe: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(complaint) = probe().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {complaint}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// An error with all its reasons.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A folder for secrets, which are read again at each connection.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}
