//! Messages, and the channels that carry them.
//!
//! A [`Bus`] delivers at least once and, within a key of a channel, in the order of publication until something is delivered again. A
//! message has two identities: `effect_id` says what it brings about and is what a consumer remembers; `id` names one attempt to send it
//! and is what the bus remembers, so that a repeated publish is stored once.

pub mod embedded;
mod error;
pub mod jetstream;
mod message;

pub use embedded::Embedded;
pub use error::{Error, Source};
pub use jetstream::{JetStream, JetStreamConfig, JetStreamTls};
pub use message::{Message, MessageId};

use std::sync::Arc;
use tokio::sync::watch;

/// One place where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Its name, such as `order.replies`.
    pub name: &'static str,
    /// What it keeps.
    pub keeps: Keeps,
    /// Who consumes it. Messages are kept for a consumer that has not run yet.
    pub consumers: &'static [&'static str],
}

/// What a channel keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// A message until every consumer has acknowledged it.
    UntilAcknowledged,
    /// The newest message of each key, for ever, so that a new consumer learns all that is current.
    LastOfEachKey,
    /// A message for clients outside of this system, for as long as the bus keeps messages at all; when it has no room, the oldest goes, so
    /// that nobody outside can hold up the others. A bus that nobody outside can subscribe to keeps it for the named consumers only.
    ForSubscribers,
}

/// The life of what keeps a channel's messages. A broker that lost it begins another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incarnation {
    /// When it began, in microseconds since 1970.
    pub created_us: i64,
    /// The number of the newest message that it ever kept. In one life it never goes back.
    pub last_sequence: u64,
}

/// Carries messages. Clones are the same bus.
#[derive(Debug, Clone)]
pub enum Bus {
    /// A durable log inside this process.
    Embedded(Embedded),
    /// NATS JetStream.
    JetStream(JetStream),
}

impl Bus {
    /// Publishes messages, those of one key in order, and returns when all of them are stored durably.
    ///
    /// Cancel safe if it is done again: what was accepted is stored, but its consumers may hear of it only with the next publish.
    ///
    /// # Errors
    /// Says how many of the first ones are stored; the others may or may not be. Publishing them again with the same ids is harmless.
    pub async fn publish(&self, messages: &[Message]) -> Result<(), Error> {
        match self {
            Bus::Embedded(bus) => bus.publish(messages).await,
            Bus::JetStream(bus) => bus.publish(messages).await,
        }
    }

    /// Receives what `consumer` has not acknowledged yet, from the oldest on.
    ///
    /// # Errors
    /// When there is no such channel or consumer, or the consumer is subscribed already.
    pub async fn subscribe(&self, channel: &str, consumer: &str) -> Result<Subscription, Error> {
        match self {
            Bus::Embedded(bus) => bus.subscribe(channel, consumer).await.map(Subscription::Embedded),
            Bus::JetStream(bus) => bus.subscribe(channel, consumer).await.map(Subscription::JetStream),
        }
    }

    /// Sees that the channel is there, for those outside who subscribe to it by themselves. Publishing and subscribing do so too.
    ///
    /// # Errors
    /// When there is no such channel, or the bus cannot be asked now.
    pub async fn ensure(&self, channel: &str) -> Result<(), Error> {
        match self {
            Bus::Embedded(bus) => bus.ensure(channel),
            Bus::JetStream(bus) => bus.ensure(channel).await,
        }
    }

    /// Which life the channel's storage is in, and how far; `None` if nothing was published yet, or all of it was lost.
    ///
    /// # Errors
    /// When there is no such channel, or the bus cannot be asked now.
    pub async fn incarnation(&self, channel: &str) -> Result<Option<Incarnation>, Error> {
        match self {
            Bus::Embedded(bus) => bus.incarnation(channel).await,
            Bus::JetStream(bus) => bus.incarnation(channel).await,
        }
    }

    /// Makes everything that is kept come to the consumer again, in order, whether or not it is subscribed; so a replica is built anew.
    ///
    /// # Errors
    /// When there is no such channel or consumer, or the bus cannot be asked now.
    pub async fn rewind(&self, channel: &str, consumer: &str) -> Result<(), Error> {
        match self {
            Bus::Embedded(bus) => bus.rewind(channel, consumer).await,
            Bus::JetStream(bus) => bus.rewind(channel, consumer).await,
        }
    }

    /// How many messages are kept for the consumer that it has not acknowledged.
    ///
    /// # Errors
    /// When there is no such channel or consumer, or the bus cannot be asked now.
    pub async fn backlog(&self, channel: &str, consumer: &str) -> Result<u64, Error> {
        match self {
            Bus::Embedded(bus) => bus.backlog(channel, consumer).await,
            Bus::JetStream(bus) => bus.backlog(channel, consumer).await,
        }
    }

    /// Whether the bus can be reached now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match self {
            Bus::Embedded(_) => true,
            Bus::JetStream(bus) => bus.is_connected(),
        }
    }

    /// How durable an acknowledged publish is, in words for `/readyz`.
    #[must_use]
    pub fn durability(&self) -> String {
        match self {
            Bus::Embedded(bus) => bus.durability(),
            Bus::JetStream(bus) => bus.durability(),
        }
    }
}

/// One consumer's view of one channel. Dropping it leaves what is unacknowledged for the next subscription.
#[derive(Debug)]
pub enum Subscription {
    /// Of the embedded bus.
    Embedded(embedded::Subscription),
    /// Of JetStream.
    JetStream(jetstream::Subscription),
}

impl Subscription {
    /// Waits for the next message. Cancel safe: a message is handed out or stays.
    ///
    /// # Errors
    /// When the bus cannot be read now; asking again is right.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        match self {
            Subscription::Embedded(subscription) => subscription.next().await.map(Delivery::Embedded),
            Subscription::JetStream(subscription) => Ok(Delivery::JetStream(subscription.next().await)),
        }
    }

    /// Becomes true when all messages that were there at the time of the subscription are acknowledged.
    #[must_use]
    pub fn caught_up(&self) -> watch::Receiver<bool> {
        match self {
            Subscription::Embedded(subscription) => subscription.caught_up(),
            Subscription::JetStream(subscription) => subscription.caught_up(),
        }
    }
}

/// A message that was handed out. Dropping it without [`Delivery::acknowledge`] makes it come again.
#[derive(Debug)]
pub enum Delivery {
    /// From the embedded bus.
    Embedded(embedded::Delivery),
    /// From JetStream.
    JetStream(jetstream::Delivery),
}

impl Delivery {
    /// The message.
    #[must_use]
    pub fn message(&self) -> &Arc<Message> {
        match self {
            Delivery::Embedded(delivery) => delivery.message(),
            Delivery::JetStream(delivery) => delivery.message(),
        }
    }

    /// Says that the message is dealt with and need not come again.
    pub fn acknowledge(self) {
        match self {
            Delivery::Embedded(delivery) => delivery.acknowledge(),
            Delivery::JetStream(delivery) => delivery.acknowledge(),
        }
    }
}
