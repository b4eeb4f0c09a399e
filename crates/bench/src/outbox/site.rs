//! Databases, channels and relays to measure with.

use crate::Measured;
use lifecycle::Tasks;
use messaging::{Bus, Channel, JetStream, JetStreamConfig, Keeps};
use outbox::Publisher;
use servers::{Nats, Postgres};
use std::time::Duration;
use store::{PostgresConfig, Store};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Client, NoTls};

pub(super) const DRAIN: &str = "drain";
pub(super) const LATENCY: &str = "latency";
pub(super) const COMMANDS: &str = "commands";
pub(super) const REPLIES: &str = "replies";
/// Who consumes each of them.
pub(super) const CONSUMER: &str = "bench";

const fn channel(name: &'static str, consumers: &'static [&'static str]) -> Channel {
    Channel { name, keeps: Keeps::UntilAcknowledged, consumers }
}

const CHANNELS: &[Channel] = &[
    channel(DRAIN, &[]),
    channel(LATENCY, &[CONSUMER]),
    channel(COMMANDS, &[CONSUMER]),
    channel(REPLIES, &[CONSUMER]),
];

/// How long it may take until the log is tailed.
const TAILS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a relay may take for all its messages.
const PUBLISHES_WITHIN: Duration = Duration::from_secs(120);
/// How often it is asked how many they are.
const COUNT_EVERY: Duration = Duration::from_millis(1);
/// How long tasks may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a message.
pub(super) const PAYLOAD_BYTES: usize = 512;
/// Keys of the messages that a drain begins with.
pub(super) const KEYS: u32 = 5_000;
/// Rows of a page, as the relay reads them.
const PAGE_ROWS: i64 = 4096;

/// NATS servers, and how many copies they keep.
#[derive(Clone, Copy)]
pub(super) struct Broker<'a> {
    pub(super) nats: &'a Nats,
    pub(super) replicas: u8,
}

/// A bus whose streams are called after `prefix`.
pub(super) async fn bus(broker: Broker<'_>, prefix: &str) -> Measured<Bus> {
    let (servers, prefix, replicas) = (broker.nats.urls(), prefix.to_owned(), broker.replicas);
    let config = JetStreamConfig { servers, prefix, replicas, ..JetStreamConfig::default() };
    Ok(Bus::JetStream(JetStream::connect(&config, CHANNELS).await?))
}

/// The stream of a channel, as the bus calls it.
pub(super) fn stream_name(prefix: &str, channel: &str) -> String {
    format!("{prefix}_{channel}").to_uppercase()
}

pub(super) fn key(number: u32) -> String {
    format!("key-{number}")
}

/// A new database with an outbox.
pub(super) async fn database(postgres: &Postgres) -> Measured<(String, Store)> {
    let url = postgres.database().await;
    let store = open(&url).await?;
    outbox::migrate(&store).await?;
    Ok((url, store))
}

pub(super) async fn open(url: &str) -> Measured<Store> {
    Ok(Store::open_postgres(&PostgresConfig { url: url.to_owned(), ..PostgresConfig::default() }).await?)
}

/// A line to a database without anything of ours in between.
pub(super) struct Bare {
    client: Client,
    _driver: JoinSet<()>,
}

impl Bare {
    pub(super) async fn open(url: &str) -> Measured<Self> {
        let (client, line) = tokio_postgres::connect(url, NoTls).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async { drop(line.await) });
        Ok(Bare { client, _driver: driver })
    }

    /// Writes messages to the outbox, a hundred in a transaction.
    pub(super) async fn fill(&self, messages: u32) -> Measured<()> {
        let batches = messages.div_ceil(100);
        self.client.batch_execute("SET synchronous_commit = off").await?;
        let fill = format!(
            "DO $$ BEGIN
                FOR batch IN 1..{batches} LOOP
                    INSERT INTO outbox (slot, message_id, effect_id, channel, key, kind, created_us, payload)
                    SELECT (SELECT current FROM outbox_rotation), uuid_send(gen_random_uuid()), 'effect-' || n, '{DRAIN}',
                        'key-' || n % {KEYS}, 'bench.v1.Message', outbox_now_us(), decode(repeat('ab', {PAYLOAD_BYTES}), 'hex')
                    FROM generate_series((batch - 1) * 100 + 1, least(batch * 100, {messages})) n;
                    COMMIT;
                END LOOP;
            END $$"
        );
        self.client.batch_execute(&fill).await?;
        // The log is read as far as it is on the disk, and who does not wait for that leaves it to a process that comes by five times a second.
        self.client.batch_execute("SET synchronous_commit = on; UPDATE outbox_rotation SET current = current").await?;
        // Who reads a row first notes in it that its transaction was committed. Nobody is to find that done by another.
        self.client.query_one("SELECT count(*) FROM outbox", &[]).await?;
        Ok(())
    }

    /// Reads all messages in order, page by page, each column of each; returns how many there are.
    pub(super) async fn read(&self) -> Measured<u32> {
        let sql =
            "SELECT position, message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload
            FROM outbox WHERE position > $1 ORDER BY position LIMIT $2";
        let page = self.client.prepare(sql).await?;
        let (mut read, mut position) = (0, 0_i64);
        loop {
            let rows = self.client.query(&page, &[&position, &PAGE_ROWS]).await?;
            for row in &rows {
                position = row.try_get(0)?;
                let (_, _): (&[u8], &[u8]) = (row.try_get(1)?, row.try_get(9)?);
                let (_, _, _, _): (&str, &str, &str, &str) =
                    (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
                let (_, _, _): (Option<&[u8]>, Option<&str>, i64) = (row.try_get(6)?, row.try_get(7)?, row.try_get(8)?);
                read += 1;
            }
            if rows.is_empty() {
                return Ok(read);
            }
        }
    }

    /// The process of the server that reads its log for the relay, which may be about to begin anew.
    pub(super) async fn log_reader(&self) -> Measured<i32> {
        let sql = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = outbox_tail_slot() AND active";
        let deadline = Instant::now() + TAILS_WITHIN;
        loop {
            match self.client.query_opt(sql, &[]).await? {
                Some(row) => return Ok(row.try_get(0)?),
                None if Instant::now() > deadline => return Err("the log has no reader".into()),
                None => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// How many bytes tables take with all that belongs to them.
    pub(super) async fn bytes(&self, tables: &[&str]) -> Measured<f64> {
        let mut bytes = 0;
        for table in tables {
            let row = self.client.query_one("SELECT pg_total_relation_size($1::TEXT::REGCLASS)", &[table]).await?;
            bytes += row.try_get::<_, i64>(0)?;
        }
        Ok(bytes as f64)
    }
}

/// A relay that runs.
pub(super) struct Relay {
    tasks: Tasks,
    metrics: outbox::Metrics,
}

impl Relay {
    pub(super) fn start(store: &Store, bus: &Bus, publisher: Publisher) -> Self {
        let config = outbox::Config { publisher, ..outbox::Config::default() };
        let mut tasks = Tasks::new();
        let (metrics, drain) = (outbox::Metrics::default(), tasks.drain_request());
        tasks.spawn("relay", outbox::relay(store.clone(), bus.clone(), config, metrics.clone(), drain));
        Relay { tasks, metrics }
    }

    /// Waits until it has published so many messages. Its own count is asked, since the broker has to work for each of its answers.
    pub(super) async fn has_published(&self, messages: u32) -> Measured<()> {
        let is_done = || self.metrics.messages_published() >= u64::from(messages);
        if waited(PUBLISHES_WITHIN, COUNT_EVERY, is_done).await {
            return Ok(());
        }
        let is = self.metrics.messages_published();
        Err(format!("{is} messages of {messages} are published after {PUBLISHES_WITHIN:?}").into())
    }

    /// Waits until it tails the log. That a line reads the slot is not enough: the relay polls until it may leave it to the log.
    pub(super) async fn tails(&self) -> Measured<()> {
        if waited(TAILS_WITHIN, LOOK_EVERY, || self.metrics.is_tailing()).await {
            return Ok(());
        }
        Err(format!("the log is not tailed within {TAILS_WITHIN:?}").into())
    }

    pub(super) async fn stop(self) -> Measured<()> {
        Ok(self.tasks.drain(END_WITHIN).await?)
    }
}

/// Waits until something is so; whether it was in time.
async fn waited(within: Duration, look_every: Duration, is_so: impl Fn() -> bool) -> bool {
    let is_so = async {
        while !is_so() {
            sleep(look_every).await;
        }
    };
    timeout(within, is_so).await.is_ok()
}
