//! Messages, and the channels that carry them.
//!
//! A [`Bus`] delivers at least once and, per channel, in the order of publication until something is delivered again. A message has two
//! identities: `effect_id` says what it brings about and is what a consumer remembers; `id` names one attempt to send it and is what the
//! bus remembers, so that a repeated publish is stored once.

pub mod embedded;
mod error;
mod message;

pub use embedded::Embedded;
pub use error::Error;
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
}

/// Carries messages. Clones are the same bus.
#[derive(Debug, Clone)]
pub enum Bus {
    /// A durable log inside this process.
    Embedded(Embedded),
}

impl Bus {
    /// Publishes messages in order, and returns when all of them are stored durably.
    ///
    /// Cancel safe if it is done again: what was accepted is stored, but its consumers may hear of it only with the next publish.
    ///
    /// # Errors
    /// Says how many of the first ones are stored; the others may or may not be. Publishing them again with the same ids is harmless.
    pub async fn publish(&self, messages: &[Message]) -> Result<(), Error> {
        match self {
            Bus::Embedded(bus) => bus.publish(messages).await,
        }
    }

    /// Receives what `consumer` has not acknowledged yet, from the oldest on.
    ///
    /// # Errors
    /// When there is no such channel or consumer, or the consumer is subscribed already.
    pub async fn subscribe(&self, channel: &str, consumer: &str) -> Result<Subscription, Error> {
        match self {
            Bus::Embedded(bus) => bus.subscribe(channel, consumer).await.map(Subscription::Embedded),
        }
    }

    /// How durable an acknowledged publish is, in words for `/readyz`.
    #[must_use]
    pub fn durability(&self) -> String {
        match self {
            Bus::Embedded(bus) => bus.durability(),
        }
    }
}

/// One consumer's view of one channel. Dropping it leaves what is unacknowledged for the next subscription.
#[derive(Debug)]
pub enum Subscription {
    /// Of the embedded bus.
    Embedded(embedded::Subscription),
}

impl Subscription {
    /// Waits for the next message. Cancel safe: a message is handed out or stays.
    ///
    /// # Errors
    /// When the bus cannot be read now; asking again is right.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        match self {
            Subscription::Embedded(subscription) => subscription.next().await.map(Delivery::Embedded),
        }
    }

    /// Becomes true when all messages that were there at the time of the subscription are acknowledged.
    #[must_use]
    pub fn caught_up(&self) -> watch::Receiver<bool> {
        match self {
            Subscription::Embedded(subscription) => subscription.caught_up(),
        }
    }
}

/// A message that was handed out. Dropping it without [`Delivery::acknowledge`] makes it come again.
#[derive(Debug)]
pub enum Delivery {
    /// From the embedded bus.
    Embedded(embedded::Delivery),
}

impl Delivery {
    /// The message.
    #[must_use]
    pub fn message(&self) -> &Arc<Message> {
        match self {
            Delivery::Embedded(delivery) => delivery.message(),
        }
    }

    /// Says that the message is dealt with and need not come again.
    pub fn acknowledge(self) {
        match self {
            Delivery::Embedded(delivery) => delivery.acknowledge(),
        }
    }
}
