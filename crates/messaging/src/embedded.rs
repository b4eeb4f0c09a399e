//! Channels inside one process: a log in one SQLite file.
//!
//! A message is stored before it is acknowledged to the publisher. What a consumer has acknowledged is remembered as one number per
//! consumer, the floor, below which everything is dealt with. The floor is written lazily, so after a crash some messages come again,
//! which consumers have to bear anyway.

mod cursor;
mod log;
mod subscription;

pub use subscription::{Delivery, Subscription};

use crate::{Channel, Error, Incarnation, Message};
use cursor::Cursor;
use log::Log;
use std::collections::HashMap;
use std::sync::Arc;
use store::Store;

/// The embedded bus. Clones share it.
#[derive(Debug, Clone)]
pub struct Embedded {
    log: Arc<Log>,
    cursors: Arc<HashMap<(&'static str, &'static str), Arc<Cursor>>>,
}

impl Embedded {
    /// Opens the channels in `store`; channels and consumers that are new are created.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn open(store: Store, channels: &'static [Channel]) -> Result<Self, Error> {
        let log = Log::open(store, channels).await?;
        let mut cursors = HashMap::new();
        for channel in channels {
            for consumer in channel.consumers {
                let floor = log.floor(channel.name, consumer).await?;
                cursors.insert((channel.name, *consumer), Arc::new(Cursor::at(channel.name, consumer, floor)));
            }
        }
        Ok(Embedded { log: Arc::new(log), cursors: Arc::new(cursors) })
    }

    pub(crate) async fn publish(&self, messages: &[Message]) -> Result<(), Error> {
        self.log.append(messages).await?;
        for cursor in self.cursors.values() {
            if messages.iter().any(|message| message.channel == cursor.channel()) {
                cursor.wake();
            }
        }
        Ok(())
    }

    pub(crate) async fn subscribe(&self, channel: &str, consumer: &str) -> Result<Subscription, Error> {
        Subscription::start(self.log.clone(), self.cursor(channel, consumer)?.clone()).await
    }

    pub(crate) fn ensure(&self, channel: &str) -> Result<(), Error> {
        self.log.channel(channel).map(|_| ())
    }

    pub(crate) async fn incarnation(&self, channel: &str) -> Result<Option<Incarnation>, Error> {
        self.log.incarnation(channel).await
    }

    pub(crate) async fn rewind(&self, channel: &str, consumer: &str) -> Result<(), Error> {
        let cursor = self.cursor(channel, consumer)?;
        self.log.reset_floor(cursor.channel(), cursor.consumer()).await?;
        cursor.rewind();
        Ok(())
    }

    pub(crate) async fn backlog(&self, channel: &str, consumer: &str) -> Result<u64, Error> {
        let cursor = self.cursor(channel, consumer)?;
        let (held, read_to) = cursor.held();
        Ok(held + self.log.count_after(cursor.channel(), read_to).await?)
    }

    fn cursor(&self, channel: &str, consumer: &str) -> Result<&Arc<Cursor>, Error> {
        let found = self.cursors.iter().find(|((of, name), _)| *of == channel && *name == consumer);
        let unknown = || Error::UnknownConsumer { channel: channel.to_owned(), consumer: consumer.to_owned() };
        found.map(|(_, cursor)| cursor).ok_or_else(unknown)
    }

    pub(crate) fn durability(&self) -> String {
        self.log.durability()
    }
}
