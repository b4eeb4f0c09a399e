//! Bugs that other systems have, put in on purpose: a suite that does not see them proves nothing.
//!
//! The platform's own relays are switched off for the order database, and this process publishes for it, wrongly.

use messaging::{Bus, Channel, JetStream, JetStreamConfig, Keeps, Message, MessageId};
use proto::channel;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{Change, Error, PostgresConfig, Row, Statement, Store};
use testkit::Stack;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The channels that the Order Service publishes to.
const CHANNELS: &[Channel] = &[
    Channel { name: channel::CONSUMER_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &["consumer"] },
    Channel { name: channel::RESTAURANT_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &["restaurant"] },
    Channel { name: channel::ORDER_ANSWERS, keeps: Keeps::ForSubscribers, consumers: &[] },
    Channel { name: channel::ORDER_EVENTS, keeps: Keeps::ForSubscribers, consumers: &[] },
];
/// Messages read at once.
const BATCH: i64 = 256;
/// The pause when there is nothing to do.
const IDLE: Duration = Duration::from_millis(2);
/// How long a reply may be awaited before the wrong sweep asks again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// The pause between two rounds of the wrong sweep.
const ASKING_PERIOD: Duration = Duration::from_secs(1);

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Control {
    /// Reads the outbox by `position > last`, and so skips what a slower transaction commits later.
    NaiveCursor,
    /// Forgets what waits for a reply as soon as the broker has acknowledged the command.
    DeleteOnAck,
    /// Sends a command again under its old message id, which the broker takes for a repetition.
    SameMessageId,
}

/// Publishes for the order database, with a bug, until it is dropped.
#[derive(Debug)]
pub struct Saboteur(#[expect(dead_code, reason = "held so that its tasks end with it")] JoinSet<()>);

impl Saboteur {
    /// Starts on a platform whose Order Service does not publish by itself.
    ///
    /// # Errors
    /// A sentence, when databases or broker cannot be reached.
    pub async fn start(control: Control, stack: &Stack) -> Result<Self, String> {
        let postgres = PostgresConfig { url: stack.database("order").to_owned(), ..PostgresConfig::default() };
        let store = Store::open_postgres(&postgres).await.map_err(|error| format!("no order database: {error}"))?;
        let jetstream = JetStreamConfig { servers: vec![stack.nats.url()], ..JetStreamConfig::default() };
        let bus = JetStream::connect(&jetstream, CHANNELS).await.map_err(|error| format!("no broker: {error}"))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(publish(control, store.clone(), Bus::JetStream(bus)));
        if control == Control::SameMessageId {
            tasks.spawn(ask_again(store));
        }
        Ok(Saboteur(tasks))
    }
}

/// A relay as many are: it reads after the highest position that it has seen.
async fn publish(control: Control, store: Store, bus: Bus) {
    let mut last = 0;
    loop {
        let (read_to, batch) = read_after(&store, last).await.unwrap_or_default();
        if batch.is_empty() {
            sleep(IDLE).await;
            continue;
        }
        // What is not acknowledged is published again from its beginning: this part is right.
        while bus.publish(&batch).await.is_err() {
            sleep(ASKING_PERIOD).await;
        }
        if control == Control::DeleteOnAck {
            while store.commit(forget(&batch)).await.is_err() {
                sleep(ASKING_PERIOD).await;
            }
        }
        last = match control {
            Control::NaiveCursor => read_to,
            // The others wait long enough for slower transactions, so that only their own bug shows.
            Control::DeleteOnAck | Control::SameMessageId => {
                sleep(IDLE).await;
                read_to
            }
        };
    }
}

async fn read_after(store: &Store, position: i64) -> Result<(i64, Vec<Message>), Error> {
    let query = Statement::new(
        "SELECT position, message_id, effect_id, channel, key, kind, created_us, payload
         FROM outbox WHERE position > ?1 ORDER BY position LIMIT ?2",
    );
    let (mut last, mut batch) = (position, Vec::new());
    for mut row in store.query(query.bind(position).bind(BATCH)).await? {
        last = row.take(0)?;
        batch.push(message(&mut row)?);
    }
    Ok((last, batch))
}

fn message(row: &mut Row) -> Result<Message, Error> {
    let id: Vec<u8> = row.take(1)?;
    Ok(Message {
        id: MessageId::from_slice(&id).ok_or(Error::Column { column: 1, expected: "16 bytes" })?,
        effect_id: row.take(2)?,
        channel: row.take(3)?,
        key: row.take(4)?,
        kind: row.take(5)?,
        causation_id: None,
        traceparent: None,
        created_us: row.take(6)?,
        payload: row.take(7)?,
    })
}

fn forget(batch: &[Message]) -> Change {
    let mut change = Change::new();
    for message in batch {
        let sql = "DELETE FROM obligation WHERE effect_id = ?1";
        change.push(Statement::new(sql).bind(message.effect_id.as_str()));
    }
    change
}

/// A sweep that sends the same message once more, instead of a new attempt of the same command.
async fn ask_again(store: Store) {
    loop {
        sleep(ASKING_PERIOD).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = i64::try_from(now.saturating_sub(ASK_AGAIN_AFTER).as_micros()).unwrap_or(i64::MAX);
        let sql = "INSERT INTO outbox (slot, message_id, effect_id, channel, key, kind, created_us, payload)
            SELECT (SELECT current FROM outbox_rotation), message_id, effect_id, channel, key, kind, since_us, payload
            FROM obligation WHERE since_us < ?1";
        let mut change = Change::new();
        change.push(Statement::new(sql).bind(before));
        drop(store.commit(change).await);
    }
}
