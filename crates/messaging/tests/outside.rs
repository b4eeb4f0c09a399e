//! What clients outside see of channels on JetStream, and what is read of their messages.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use async_nats::HeaderMap;
use async_nats::jetstream;
use messaging::{Bus, Channel, JetStream, JetStreamConfig, Keeps, Message, MessageId};
use servers::Nats;
use std::time::Duration;
use tokio::time::timeout;

const CHANNELS: &[Channel] = &[
    Channel { name: "commands", keeps: Keeps::UntilAcknowledged, consumers: &["service"] },
    Channel { name: "news", keeps: Keeps::ForSubscribers, consumers: &[] },
];
/// Longer than anything here takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(20);

/// A bus with a prefix of its own, and a client outside that knows the prefix.
struct Platform {
    bus: Bus,
    outside: jetstream::Context,
    prefix: String,
}

impl Platform {
    async fn open(stream_bytes_max: Option<u64>) -> Self {
        let (servers, prefix) = (vec![Nats::shared().await.url()], format!("test-{}", MessageId::generate()));
        let outside = jetstream::new(async_nats::connect(&servers[0]).await.unwrap());
        let config =
            JetStreamConfig { servers, prefix: prefix.clone(), stream_bytes_max, ..JetStreamConfig::default() };
        let bus = Bus::JetStream(JetStream::connect(&config, CHANNELS).await.unwrap());
        Platform { bus, outside, prefix }
    }

    /// What the client outside sees of the channel for subscribers; `None` when there is no such stream.
    async fn news(&self) -> Option<jetstream::stream::Info> {
        let name = format!("{}_NEWS", self.prefix.replace('-', "_").to_uppercase());
        self.outside.get_stream(name).await.ok().map(|stream| stream.cached_info().clone())
    }
}

#[tokio::test]
async fn a_channel_for_subscribers_is_there_before_its_first_message() {
    if !Nats::require() {
        return;
    }
    let platform = Platform::open(None).await;
    assert!(platform.news().await.is_none());

    platform.bus.ensure("news").await.unwrap();
    platform.bus.ensure("news").await.unwrap();

    assert_eq!(platform.news().await.unwrap().state.messages, 0);
}

#[tokio::test]
async fn a_full_channel_for_subscribers_drops_its_oldest_message() {
    if !Nats::require() {
        return;
    }
    let platform = Platform::open(Some(64 * 1024)).await;
    let news = |number: i32| Message::new("news", "News", number.to_string(), number.to_string(), vec![0; 1024]);

    platform.bus.publish(&(0..200).map(news).collect::<Vec<_>>()).await.unwrap();

    let state = platform.news().await.unwrap().state;
    assert_eq!(state.last_sequence, 200);
    assert!((1..200).contains(&state.messages), "{state:?}");
}

#[tokio::test]
async fn a_command_of_a_foreign_publisher_has_the_key_of_its_subject_and_one_effect() {
    if !Nats::require() {
        return;
    }
    let platform = Platform::open(None).await;
    let mut commands = platform.bus.subscribe("commands", "service").await.unwrap();
    platform.bus.ensure("commands").await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("ce-id", "A234-1234");
    headers.insert("ce-type", "Sing");

    for _ in 0..2 {
        let subject = format!("{}.commands.4711", platform.prefix);
        platform.outside.publish_with_headers(subject, headers.clone(), "la".into()).await.unwrap().await.unwrap();
    }

    for _ in 0..2 {
        let delivery = timeout(WITHIN, commands.next()).await.unwrap().unwrap();
        let message = delivery.message();
        assert_eq!((message.key.as_str(), message.kind.as_str()), ("4711", "Sing"));
        assert_eq!(message.effect_id, "A234-1234");
    }
}
