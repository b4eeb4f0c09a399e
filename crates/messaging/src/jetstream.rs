//! Channels between processes: NATS JetStream.
//!
//! One stream per channel, one durable pull consumer per consumer; both are created and repaired here, also after the broker lost them.
//! A broker that is away is waited for: publishing fails transiently, a subscription goes on when it is back.

mod arrival;
mod batch;
mod bucket;
mod config;
mod connection;
mod cursor;
mod fault;
mod headers;
mod holdings;
mod identity;
mod layout;
mod line;
mod manager;
mod names;
mod progress;
mod publisher;
mod pump;
mod session;
mod subscription;
mod voice;

pub use bucket::{Bucket, BucketConfig};
pub use config::{JetStreamConfig, JetStreamTls};
pub use subscription::{Delivery, Subscription};

use crate::{Channel, Error, Incarnation, Message};
use cursor::Cursor;
use fault::Fault;
use manager::Manager;
use publisher::Publisher;
use pump::Pump;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use subscription::failed_to_read;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the last acknowledgements of a bus may take to leave this process.
const FLUSHED_WITHIN: Duration = Duration::from_secs(2);

/// A bus on NATS JetStream. Clones share it.
#[derive(Debug, Clone)]
pub struct JetStream {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<JetStreamConfig>,
    channels: &'static [Channel],
    manager: Manager,
    publisher: Publisher,
    cursors: HashMap<(&'static str, &'static str), Arc<Cursor>>,
}

impl JetStream {
    /// Begins to connect, and returns before NATS is there if it is away.
    ///
    /// # Errors
    /// When the settings make no sense or name files that cannot be read, and when a server is there that will not do.
    pub async fn connect(config: &JetStreamConfig, channels: &'static [Channel]) -> Result<Self, Error> {
        config.check()?;
        check(channels, &config.prefix)?;
        let config = Arc::new(config.clone());
        let line = connection::lasting(&config).await?;
        if line.is_connected() {
            let refused = |fault: Fault| Error::SetUp { is_transient: fault.is_transient(), source: fault.into() };
            connection::supported(&line.client, &config).map_err(refused)?;
        }
        let mut cursors = HashMap::new();
        for channel in channels {
            for consumer in channel.consumers {
                cursors.insert((channel.name, *consumer), Arc::new(Cursor::new(line.clone())));
            }
        }
        let manager = Manager::over(line, config.clone());
        let publisher = Publisher::new(config.clone(), channels);
        Ok(JetStream { shared: Arc::new(Shared { config, channels, manager, publisher, cursors }) })
    }

    pub(crate) async fn publish(&self, messages: &[Message]) -> Result<(), Error> {
        self.shared.publisher.publish(messages).await
    }

    pub(crate) async fn subscribe(&self, channel: &str, consumer: &str) -> Result<Subscription, Error> {
        let (channel, consumer) = self.consumer(channel, consumer)?;
        let cursor = self.shared.cursors.get(&(channel.name, consumer));
        let taken = || {
            let (channel, consumer) = (channel.name.to_owned(), consumer.to_owned());
            Error::AlreadySubscribed { channel, consumer }
        };
        let cursor = cursor.ok_or_else(taken)?.clone();
        let caught_up = cursor.subscribe().ok_or_else(taken)?;
        let (config, manager) = (self.shared.config.clone(), self.shared.manager.clone());
        Subscription::start(Pump { config, manager, channel, consumer, cursor }, caught_up).await
    }

    pub(crate) async fn ensure(&self, channel: &str) -> Result<(), Error> {
        let ensured = self.shared.manager.ensure_stream(self.channel(channel)?).await;
        let failed = |fault: Fault| Error::SetUp { is_transient: fault.is_transient(), source: fault.into() };
        ensured.map(|_| ()).map_err(failed)
    }

    pub(crate) async fn incarnation(&self, channel: &str) -> Result<Option<Incarnation>, Error> {
        let failed = |fault: Fault| failed_to_read(channel, fault);
        let Some(stream) = self.shared.manager.stream(self.channel(channel)?).await.map_err(failed)? else {
            return Ok(None);
        };
        let created_us = stream.created_us().map_err(failed)?;
        Ok(Some(Incarnation { created_us, last_sequence: stream.state.last_sequence }))
    }

    pub(crate) async fn rewind(&self, channel: &str, consumer: &str) -> Result<(), Error> {
        let (channel, consumer) = self.consumer(channel, consumer)?;
        let failed = |fault: Fault| failed_to_read(channel.name, fault);
        // A consumer begins with everything that is kept. Whoever is subscribed hears that it is gone and binds to the new one.
        self.shared.manager.delete_consumer(channel, consumer).await.map_err(failed)?;
        self.shared.manager.ensure_stream(channel).await.map_err(failed)?;
        self.shared.manager.ensure_consumer(channel, consumer).await.map_err(failed)?;
        Ok(())
    }

    pub(crate) async fn backlog(&self, channel: &str, consumer: &str) -> Result<u64, Error> {
        let (channel, consumer) = self.consumer(channel, consumer)?;
        let failed = |fault: Fault| failed_to_read(channel.name, fault);
        if let Some(consumer) = self.shared.manager.consumer(channel, consumer).await.map_err(failed)? {
            return Ok(consumer.waiting.saturating_add(consumer.held as u64));
        }
        // A consumer that has never run awaits everything.
        let stream = self.shared.manager.stream(channel).await.map_err(failed)?;
        Ok(stream.map_or(0, |stream| stream.state.messages))
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.shared.manager.line.is_connected()
    }

    pub(crate) fn durability(&self) -> String {
        let replicas = self.shared.config.replicas;
        let line = &self.shared.manager.line;
        let mut server = "NATS".to_owned();
        if let Some(info) = line.client.try_server_info() {
            server = format!("{server} {}", info.version);
        }
        let complaint = line.complaint();
        if !line.is_connected() {
            server = format!("{server} (away{})", complaint.map(|it| format!(": {it}")).unwrap_or_default());
        } else if let Some(complaint) = complaint {
            server = format!("{server} (complains: {complaint})");
        }
        format!("{server}, file storage, replicas: {replicas}; when it is on the disk is the server's sync_interval")
    }

    fn channel(&self, name: &str) -> Result<&'static Channel, Error> {
        let found = self.shared.channels.iter().find(|channel| channel.name == name);
        found.ok_or_else(|| Error::UnknownChannel { channel: name.to_owned() })
    }

    fn consumer(&self, channel: &str, consumer: &str) -> Result<(&'static Channel, &'static str), Error> {
        let unknown = || Error::UnknownConsumer { channel: channel.to_owned(), consumer: consumer.to_owned() };
        let channel = self.channel(channel).map_err(|_| unknown())?;
        let consumer = channel.consumers.iter().find(|name| **name == consumer).ok_or_else(unknown)?;
        Ok((channel, consumer))
    }
}

impl Drop for Shared {
    /// Acknowledgements wait in the client to be written; it must live until they are.
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let client = self.manager.line.client.clone();
        let mut last_words = JoinSet::new();
        let flush = async move {
            if timeout(FLUSHED_WITHIN, client.flush()).await.is_err() {
                tracing::debug!("the last acknowledgements did not leave; their messages come again");
            }
        };
        last_words.spawn_on(flush, &runtime);
        last_words.detach_all();
    }
}

/// Refuses channels that JetStream cannot tell apart or name.
fn check(channels: &[Channel], prefix: &str) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::Settings { what });
    let mut streams = HashMap::new();
    for channel in channels {
        let consumers_are_names = channel.consumers.iter().all(|it| names::is_name(it) && !it.contains('.'));
        if !names::is_name(channel.name) || !consumers_are_names {
            return wrong(format!("channel {} or a consumer of it has a name that NATS does not take", channel.name));
        }
        if let Some(other) = streams.insert(names::stream(prefix, channel.name), channel.name) {
            return wrong(format!("channels {other} and {} would have the same stream", channel.name));
        }
    }
    Ok(())
}
