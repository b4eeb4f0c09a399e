//! Channels between processes: NATS JetStream.
//!
//! One stream per channel, one durable pull consumer per consumer; both are created and repaired here, also after the broker lost them.
//! A broker that is away is waited for: publishing fails transiently, a subscription goes on when it is back.

mod config;
mod connection;
mod cursor;
mod fault;
mod headers;
mod layout;
mod names;
mod publisher;
mod pump;
mod subscription;

pub use config::{JetStreamConfig, JetStreamTls};
pub use subscription::{Delivery, Subscription};

use crate::{Channel, Error, Incarnation, Message};
use async_nats::connection::State;
use connection::Health;
use cursor::Cursor;
use fault::Fault;
use layout::Layout;
use publisher::Publisher;
use pump::Pump;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use subscription::failed_to_read;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long the start waits for a broker, to name what is wrong with it at once if it is there.
const GREETED_WITHIN: Duration = Duration::from_secs(1);

/// How often it looks meanwhile: the client tells nobody.
const LOOK_EVERY: Duration = Duration::from_millis(2);

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
    layout: Layout,
    health: watch::Receiver<Health>,
    publisher: Publisher,
    cursors: HashMap<(&'static str, &'static str), Arc<Cursor>>,
}

impl JetStream {
    /// Begins to connect, and returns before NATS is there if it is away.
    ///
    /// # Errors
    /// When the settings make no sense or name files that cannot be read, and when a server is there that will not do.
    pub async fn connect(config: &JetStreamConfig, channels: &'static [Channel]) -> Result<Self, Error> {
        check(config, channels)?;
        let config = Arc::new(config.clone());
        let (client, health) = connection::lasting(&config).await?;
        let greeted = async {
            while client.try_server_info().is_none() {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(GREETED_WITHIN, greeted).await.is_ok() {
            let refused = |fault: Fault| Error::SetUp { is_transient: fault.is_transient(), source: fault.into() };
            connection::supported(&client, &config).map_err(refused)?;
        }
        let mut cursors = HashMap::new();
        for channel in channels {
            for consumer in channel.consumers {
                cursors.insert((channel.name, *consumer), Arc::new(Cursor::new(client.clone())));
            }
        }
        let layout = Layout::over(client, config.clone());
        let publisher = Publisher::new(config.clone(), channels);
        Ok(JetStream { shared: Arc::new(Shared { config, channels, layout, health, publisher, cursors }) })
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
        let Shared { config, layout, health, .. } = &*self.shared;
        let (config, layout, health) = (config.clone(), layout.clone(), health.clone());
        Subscription::start(Pump { config, layout, health, channel, consumer, cursor }, caught_up).await
    }

    pub(crate) async fn ensure(&self, channel: &str) -> Result<(), Error> {
        let ensured = self.shared.layout.ensure_stream(self.channel(channel)?).await;
        let failed = |fault: Fault| Error::SetUp { is_transient: fault.is_transient(), source: fault.into() };
        ensured.map(|_| ()).map_err(failed)
    }

    pub(crate) async fn incarnation(&self, channel: &str) -> Result<Option<Incarnation>, Error> {
        let found = self.shared.layout.stream(self.channel(channel)?).await;
        let stream = found.map_err(|fault| failed_to_read(channel, fault))?;
        Ok(stream.map(|stream| Incarnation {
            created_us: i64::try_from(stream.created.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX),
            last_sequence: stream.state.last_sequence,
        }))
    }

    pub(crate) async fn rewind(&self, channel: &str, consumer: &str) -> Result<(), Error> {
        let (channel, consumer) = self.consumer(channel, consumer)?;
        let failed = |fault: Fault| failed_to_read(channel.name, fault);
        // A consumer begins with everything that is kept. Whoever is subscribed hears that it is gone and binds to the new one.
        self.shared.layout.delete_consumer(channel, consumer).await.map_err(failed)?;
        self.shared.layout.ensure_stream(channel).await.map_err(failed)?;
        self.shared.layout.ensure_consumer(channel, consumer).await.map_err(failed)?;
        Ok(())
    }

    pub(crate) async fn backlog(&self, channel: &str, consumer: &str) -> Result<u64, Error> {
        let (channel, consumer) = self.consumer(channel, consumer)?;
        let failed = |fault: Fault| failed_to_read(channel.name, fault);
        if let Some(info) = self.shared.layout.consumer(channel, consumer).await.map_err(failed)? {
            return Ok(info.num_pending.saturating_add(info.num_ack_pending as u64));
        }
        // A consumer that has never run awaits everything.
        let stream = self.shared.layout.stream(channel).await.map_err(failed)?;
        Ok(stream.map_or(0, |stream| stream.state.messages))
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.shared.layout.client.connection_state() == State::Connected
    }

    pub(crate) fn durability(&self) -> String {
        let replicas = self.shared.config.replicas;
        let client = &self.shared.layout.client;
        let server = match client.try_server_info() {
            Some(server) if self.is_connected() => format!("NATS {}", server.version),
            Some(server) => format!("NATS {} (away)", server.version),
            None => "NATS (away)".to_owned(),
        };
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
        let client = self.layout.client.clone();
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

fn check(config: &JetStreamConfig, channels: &[Channel]) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::Settings { what });
    if config.servers.is_empty() {
        return wrong("servers names none".to_owned());
    }
    if !names::is_name(&config.prefix) || !names::is_name(&config.name) {
        return wrong("prefix and name take letters, digits, - and _".to_owned());
    }
    if ![1, 3, 5].contains(&config.replicas) {
        return wrong(format!("replicas is {}, and can be 1, 3 or 5", config.replicas));
    }
    if config.user.is_some() != config.password_file.is_some() {
        return wrong("user and password_file belong together".to_owned());
    }
    if let Some(tls) = &config.tls
        && tls.certificate_file.is_some() != tls.key_file.is_some()
    {
        return wrong("tls.certificate_file and tls.key_file belong together".to_owned());
    }
    let waits =
        [config.publish_timeout_ms, config.request_timeout_ms, config.ack_wait_ms, u64::from(config.kept_hours)];
    if waits.contains(&0) {
        return wrong("a time must be longer than 0".to_owned());
    }
    let mut streams = HashMap::new();
    for channel in channels {
        let consumers_are_names = channel.consumers.iter().all(|it| names::is_name(it) && !it.contains('.'));
        if !names::is_name(channel.name) || !consumers_are_names {
            return wrong(format!("channel {} or a consumer of it has a name that NATS does not take", channel.name));
        }
        if let Some(other) = streams.insert(names::stream(&config.prefix, channel.name), channel.name) {
            return wrong(format!("channels {other} and {} would have the same stream", channel.name));
        }
    }
    Ok(())
}
