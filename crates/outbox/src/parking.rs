//! Where messages wait that cannot be handled, and which keys do.
//!
//! Each parked key has a row of its own. Whoever parks a message behind a key writes to that row, and so does whoever sets the key free,
//! in the transaction that takes out its last message: so a message is either parked before that, and handed over with the others, or
//! finds the key free. That holds between processes too, and is why the message that comes next needs no queue while its key is
//! redriven.
//!
//! A process remembers which keys are parked, since nearly all messages are of a key that is not. What it parked itself it knows at once;
//! what another process parked, a second later. In that second it may handle a message whose predecessor is parked, as it might have
//! done anyway: processes that share a channel have no order among each other. That a key is free again it learns when it is about to
//! park a message behind it.

use crate::clock::clocked;
use crate::rows;
use messaging::Message;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Change, Error, Migration, Statement, Store};
use tokio::time::Instant;

/// Why a message is parked that follows a parked one.
pub(crate) const BEHIND: &str = "an earlier message of this key is parked";

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "parked keys, audit",
    sqlite: include_str!("migrations/parking_001_sqlite.sql"),
    postgres: Some(include_str!("migrations/parking_001_postgres.sql")),
}];

/// Keys that a process remembers; 100,000 x ~100 bytes = 10 MiB. With more of them parked it asks the database about every message.
const KNOWN_MAX: usize = 100_000;
/// How far back newly parked keys are looked for: longer than a commit may take, since the time is taken before it.
const LOOK_BACK: Duration = Duration::from_secs(15);
/// How long looking back is good; after a longer time without a look, all keys are read. Leaves 10 s for the commit.
const LOOKED_WITHIN: Duration = Duration::from_secs(5);
/// How often all keys are read, to forget those that others have set free.
const READ_ALL_EVERY: Duration = Duration::from_secs(60);
/// Bytes of a key, an effect id and the like that are kept. PostgreSQL indexes 2,704 bytes at most, and the index of what is parked has a
/// key and an effect id beside each other.
const TEXT_BYTES_MAX: usize = 512;
/// Characters of a reason that are kept: a chain of causes has some hundred.
const WHY_MAX: usize = 1_000;

/// Brings the tables of parking up to date; they grow beside those of the outbox.
pub(crate) async fn migrate(store: &Store) -> Result<(), Error> {
    store.migrate("parking", MIGRATIONS).await
}

/// What became of a message that was to be parked behind its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// It is parked.
    New,
    /// Its effect was parked before: a command that was sent again.
    Repeated,
    /// The key is free, so it is to be handled.
    Free,
}

/// The parked keys and messages of one consumer.
#[derive(Debug)]
pub(crate) struct Parking {
    store: Store,
    consumer: &'static str,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// The keys, each with the round in which it was noted.
    keys: HashMap<String, u64>,
    /// How often all keys were read.
    round: u64,
    is_complete: bool,
    looked_at: Instant,
    all_read_at: Instant,
}

impl Parking {
    pub(crate) async fn open(store: Store, consumer: &'static str) -> Result<Self, Error> {
        let now = Instant::now();
        let known = Known { keys: HashMap::new(), round: 0, is_complete: false, looked_at: now, all_read_at: now };
        let parking = Parking { store, consumer, known: Mutex::new(known) };
        parking.read_all().await?;
        Ok(parking)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether an earlier message of this key may be parked.
    pub(crate) fn suspects(&self, key: &str) -> bool {
        let known = self.known();
        !known.is_complete || known.keys.contains_key(key)
    }

    /// Parks a message that cannot be handled, and with it its key. Returns whether it was not parked before.
    pub(crate) async fn park(&self, message: &Message, why: &str) -> Result<bool, Error> {
        let mut change = Change::new();
        let key = clocked!(
            "INSERT INTO parked_key (consumer, key, parked_us) VALUES (?1, ?2, ",
            ") ON CONFLICT (consumer, key) DO UPDATE SET version = parked_key.version + 1"
        );
        change.push(key.bind(self.consumer).bind(message.key.as_str()));
        change.push(self.insert(message, why));
        let committed = self.store.commit(change).await?;
        self.note(&message.key);
        Ok(committed.rows.last() == Some(&1))
    }

    /// Parks a message if its key is parked.
    pub(crate) async fn park_behind(&self, message: &Message) -> Result<Behind, Error> {
        let query = Statement::new("SELECT key FROM parked_key WHERE consumer = ?1 AND key = ?2");
        let is_parked = !self.store.query(query.bind(self.consumer).bind(message.key.as_str())).await?.is_empty();
        if is_parked {
            let mut change = Change::new();
            let key = "UPDATE parked_key SET version = version + 1 WHERE consumer = ?1 AND key = ?2";
            let key = Statement::new(key).bind(self.consumer).bind(message.key.as_str());
            change.push(key.expecting(1, "the key is parked"));
            change.push(self.insert(message, BEHIND));
            match self.store.commit(change).await {
                Ok(committed) if committed.rows.last() == Some(&1) => return Ok(Behind::New),
                Ok(_) => return Ok(Behind::Repeated),
                Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.forget(&message.key);
        Ok(Behind::Free)
    }

    /// Learns which keys other processes have parked.
    pub(crate) async fn look(&self) -> Result<(), Error> {
        let (looked_at, all_read_at) = {
            let known = self.known();
            (known.looked_at, known.all_read_at)
        };
        if looked_at.elapsed() > LOOKED_WITHIN || all_read_at.elapsed() > READ_ALL_EVERY {
            return self.read_all().await;
        }
        let now = Instant::now();
        let query = clocked!("SELECT key FROM parked_key WHERE consumer = ?1 AND parked_us > ", " - ?2 LIMIT ?3");
        let query = query.bind(self.consumer).bind(rows::micros(LOOK_BACK)).bind(limit());
        let rows = self.store.query(query).await?;
        let mut known = self.known();
        for mut row in rows {
            known.note(row.take(0)?);
        }
        known.looked_at = now;
        Ok(())
    }

    async fn read_all(&self) -> Result<(), Error> {
        let now = Instant::now();
        let round = {
            let mut known = self.known();
            known.round += 1;
            known.round
        };
        let query = Statement::new("SELECT key FROM parked_key WHERE consumer = ?1 LIMIT ?2");
        let rows = self.store.query(query.bind(self.consumer).bind(limit())).await?;
        let is_complete = rows.len() < KNOWN_MAX;
        let keys: Result<Vec<String>, Error> = rows.into_iter().map(|mut row| row.take(0)).collect();
        let mut known = self.known();
        // What was parked here since the question was asked is not in the answer.
        known.keys.retain(|_, noted| *noted >= round);
        known.keys.extend(keys?.into_iter().map(|key| (key, round)));
        (known.is_complete, known.looked_at, known.all_read_at) = (is_complete, now, now);
        Ok(())
    }

    /// The statement that adds a message, or does nothing when its effect is parked already.
    fn insert(&self, message: &Message, why: &str) -> Statement {
        let sql = "INSERT INTO parked
            (message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload, consumer, why, parked_us)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING";
        rows::bind(Statement::new(sql), message).bind(self.consumer).bind(legible(why)).bind(rows::now_us())
    }

    fn note(&self, key: &str) {
        self.known().note(key.to_owned());
    }

    fn forget(&self, key: &str) {
        self.known().keys.remove(key);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn note(&mut self, key: String) {
        if self.keys.len() < KNOWN_MAX || self.keys.contains_key(&key) {
            self.keys.insert(key, self.round);
        } else {
            self.is_complete = false;
        }
    }
}

fn limit() -> i64 {
    i64::try_from(KNOWN_MAX).unwrap_or(i64::MAX)
}

/// A reason as both databases take it: of bounded length and without NUL, which text of PostgreSQL cannot hold.
pub(crate) fn legible(why: &str) -> String {
    why.chars().take(WHY_MAX).map(|character| if character == '\0' { '\u{fffd}' } else { character }).collect()
}

/// A message as both databases take it, before anybody handles it. Those of our own services are; what somebody outside wrote may be
/// anything, and a message that can neither be handled nor parked would be tried for ever.
pub(crate) fn storable(message: &Arc<Message>) -> Arc<Message> {
    let is_storable = |text: &str| text.len() <= TEXT_BYTES_MAX && !text.contains('\0');
    let texts = [&message.key, &message.effect_id, &message.kind].into_iter().chain(&message.traceparent);
    if texts.map(String::as_str).all(is_storable) {
        return message.clone();
    }
    let cut = |text: &String| text[..text.floor_char_boundary(TEXT_BYTES_MAX)].replace('\0', "");
    Arc::new(Message {
        key: cut(&message.key),
        effect_id: cut(&message.effect_id),
        kind: cut(&message.kind),
        traceparent: message.traceparent.as_ref().map(cut),
        ..Message::clone(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_bounded_and_has_no_nul() {
        assert_eq!(legible("a\0b"), "a\u{fffd}b");
        assert_eq!(legible(&"x".repeat(5_000)).len(), WHY_MAX);
    }

    #[test]
    fn a_message_from_outside_becomes_one_that_a_database_takes() {
        let message =
            |key: &str, effect_id: String| Arc::new(Message::new("c", "T", key.to_owned(), effect_id, vec![0]));
        let (good, bad) = (message("k", "e".repeat(512)), message("a\0b", "é".repeat(10_000)));

        assert_eq!(storable(&good), good);
        assert_eq!((storable(&bad).key.as_str(), storable(&bad).effect_id.len()), ("ab", 512));
        assert_eq!((storable(&bad).id, &storable(&bad).payload), (bad.id, &bad.payload));
    }
}
