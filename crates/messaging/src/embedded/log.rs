//! The stored messages of all channels, and the floor of each consumer.

use crate::{Channel, Error, Incarnation, Keeps, Message, MessageId};
use store::{Change, Migration, Row, Statement, Store};

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "messages and floors",
        sqlite: "
        CREATE TABLE message (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            channel TEXT NOT NULL,
            message_id BLOB NOT NULL UNIQUE,
            effect_id TEXT NOT NULL,
            key TEXT NOT NULL,
            kind TEXT NOT NULL,
            causation_id BLOB,
            traceparent TEXT,
            created_us INTEGER NOT NULL,
            payload BLOB NOT NULL,
            keeps_last INTEGER NOT NULL
        );
        CREATE INDEX message_by_channel ON message (channel, sequence);
        CREATE INDEX message_by_key ON message (channel, key, sequence) WHERE keeps_last = 1;
        CREATE TABLE consumer (
            channel TEXT NOT NULL,
            name TEXT NOT NULL,
            floor INTEGER NOT NULL,
            PRIMARY KEY (channel, name)
        ) WITHOUT ROWID;",
        postgres: None,
    },
    Migration {
        version: 2,
        name: "incarnation",
        sqlite: "
        CREATE TABLE incarnation (created_us INTEGER NOT NULL);
        INSERT INTO incarnation VALUES (CAST(unixepoch('subsec') * 1000000 AS INTEGER));",
        postgres: None,
    },
];

/// Messages read at once: 256 x ~1 KiB = 256 KiB.
pub(super) const READ_MAX: i64 = 256;

#[derive(Debug)]
pub(super) struct Log {
    store: Store,
    channels: &'static [Channel],
}

impl Log {
    pub(super) async fn open(store: Store, channels: &'static [Channel]) -> Result<Self, Error> {
        store.migrate("messaging", MIGRATIONS).await.map_err(Error::set_up)?;
        let mut change = Change::new();
        // A consumer that is no more would hold back the floor of its channel, and with it the dropping of messages, for ever.
        for mut row in store.query(Statement::new("SELECT channel, name FROM consumer")).await.map_err(Error::set_up)? {
            let (channel, name): (String, String) =
                (row.take(0).map_err(Error::set_up)?, row.take(1).map_err(Error::set_up)?);
            if !channels.iter().any(|it| it.name == channel && it.consumers.contains(&name.as_str())) {
                let sql = "DELETE FROM consumer WHERE channel = ?1 AND name = ?2";
                change.push(Statement::new(sql).bind(channel).bind(name));
            }
        }
        for channel in channels {
            for consumer in channel.consumers {
                let sql = "INSERT INTO consumer (channel, name, floor) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING";
                change.push(Statement::new(sql).bind(channel.name).bind(*consumer));
            }
        }
        store.commit(change).await.map_err(Error::set_up)?;
        Ok(Log { store, channels })
    }

    pub(super) fn durability(&self) -> String {
        self.store.durability()
    }

    pub(super) async fn append(&self, messages: &[Message]) -> Result<(), Error> {
        let mut change = Change::new();
        for message in messages {
            let channel = self.channel(&message.channel)?;
            // What nobody will ever acknowledge would be kept for ever.
            if channel.consumers.is_empty() && channel.keeps != Keeps::LastOfEachKey {
                continue;
            }
            change.push(insert(message, channel.keeps));
            if channel.keeps == Keeps::LastOfEachKey {
                change.push(forget_older(message));
            }
        }
        if change.is_empty() {
            return Ok(());
        }
        self.store.commit(change).await.map_err(Error::publish)?;
        Ok(())
    }

    pub(super) async fn after(&self, channel: &'static str, sequence: i64) -> Result<Vec<(i64, Message)>, Error> {
        let query = Statement::new(
            "SELECT sequence, message_id, effect_id, key, kind, causation_id, traceparent, created_us, payload
             FROM message WHERE channel = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
        );
        let rows = self.query(channel, query.bind(channel).bind(sequence).bind(READ_MAX)).await?;
        rows.into_iter().map(|row| read(channel, row).map_err(|source| Error::read(channel, source))).collect()
    }

    /// The sequence of the channel's newest message; 0 when it is empty.
    pub(super) async fn end(&self, channel: &'static str) -> Result<i64, Error> {
        let query = Statement::new("SELECT coalesce(max(sequence), 0) FROM message WHERE channel = ?1").bind(channel);
        self.number(channel, query).await
    }

    pub(super) async fn floor(&self, channel: &'static str, consumer: &'static str) -> Result<i64, Error> {
        let query = Statement::new("SELECT floor FROM consumer WHERE channel = ?1 AND name = ?2");
        self.number(channel, query.bind(channel).bind(consumer)).await
    }

    /// Remembers what a consumer has dealt with, and forgets what every consumer of the channel has. Returns false, without having done
    /// so, when the store is busy.
    pub(super) fn raise_floor(&self, channel: &'static str, consumer: &'static str, floor: i64) -> bool {
        let mut change = Change::new();
        let sql = "UPDATE consumer SET floor = ?3 WHERE channel = ?1 AND name = ?2 AND floor < ?3";
        change.push(Statement::new(sql).bind(channel).bind(consumer).bind(floor));
        if self.channel(channel).is_ok_and(|channel| channel.keeps != Keeps::LastOfEachKey) {
            let sql = "DELETE FROM message WHERE channel = ?1
                       AND sequence <= (SELECT min(floor) FROM consumer WHERE channel = ?1)";
            change.push(Statement::new(sql).bind(channel));
        }
        self.store.submit(change)
    }

    /// The life of the file, and the number of the newest message of any channel: acknowledged messages are deleted, so of one channel
    /// it is not known.
    pub(super) async fn incarnation(&self, channel: &str) -> Result<Option<Incarnation>, Error> {
        let channel = self.channel(channel)?.name;
        let created = Statement::new("SELECT created_us FROM incarnation");
        let last = Statement::new("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'message'");
        let created_us = self.number(channel, created).await?;
        let last_sequence = u64::try_from(self.number(channel, last).await?).unwrap_or_default();
        Ok(Some(Incarnation { created_us, last_sequence }))
    }

    /// Forgets what a consumer has dealt with.
    pub(super) async fn reset_floor(&self, channel: &'static str, consumer: &'static str) -> Result<(), Error> {
        let sql = "UPDATE consumer SET floor = 0 WHERE channel = ?1 AND name = ?2";
        let mut change = Change::new();
        change.push(Statement::new(sql).bind(channel).bind(consumer));
        self.store.commit(change).await.map_err(|source| Error::read(channel, source))?;
        Ok(())
    }

    pub(super) async fn count_after(&self, channel: &'static str, sequence: i64) -> Result<u64, Error> {
        let query = Statement::new("SELECT count(*) FROM message WHERE channel = ?1 AND sequence > ?2");
        let count = self.number(channel, query.bind(channel).bind(sequence)).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    pub(super) fn channel(&self, name: &str) -> Result<&'static Channel, Error> {
        let found = self.channels.iter().find(|it| it.name == name);
        found.ok_or_else(|| Error::UnknownChannel { channel: name.to_owned() })
    }

    async fn query(&self, channel: &'static str, query: Statement) -> Result<Vec<Row>, Error> {
        self.store.query(query).await.map_err(|source| Error::read(channel, source))
    }

    async fn number(&self, channel: &'static str, query: Statement) -> Result<i64, Error> {
        let mut rows = self.query(channel, query).await?;
        match rows.first_mut() {
            Some(row) => row.take(0).map_err(|source| Error::read(channel, source)),
            None => Ok(0),
        }
    }
}

fn insert(message: &Message, keeps: Keeps) -> Statement {
    Statement::new(
        "INSERT INTO message
         (channel, message_id, effect_id, key, kind, causation_id, traceparent, created_us, payload, keeps_last)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (message_id) DO NOTHING",
    )
    .bind(message.channel.as_str())
    .bind(message.id.to_bytes())
    .bind(message.effect_id.as_str())
    .bind(message.key.as_str())
    .bind(message.kind.as_str())
    .bind(message.causation_id.map(MessageId::to_bytes))
    .bind(message.traceparent.clone())
    .bind(message.created_us)
    .bind(message.payload.clone())
    .bind(i64::from(keeps == Keeps::LastOfEachKey))
}

fn forget_older(message: &Message) -> Statement {
    Statement::new(
        "DELETE FROM message WHERE channel = ?1 AND key = ?2 AND keeps_last = 1 AND sequence <
         (SELECT max(sequence) FROM message WHERE channel = ?1 AND key = ?2 AND keeps_last = 1)",
    )
    .bind(message.channel.as_str())
    .bind(message.key.as_str())
}

fn read(channel: &str, mut row: Row) -> Result<(i64, Message), store::Error> {
    let id = |bytes: Vec<u8>, column| {
        MessageId::from_slice(&bytes).ok_or(store::Error::Column { column, expected: "16 bytes" })
    };
    let message = Message {
        id: id(row.take(1)?, 1)?,
        effect_id: row.take(2)?,
        channel: channel.to_owned(),
        key: row.take(3)?,
        kind: row.take(4)?,
        causation_id: row.take::<Option<Vec<u8>>>(5)?.map(|bytes| id(bytes, 5)).transpose()?,
        traceparent: row.take(6)?,
        created_us: row.take(7)?,
        payload: row.take(8)?,
    };
    Ok((row.take(0)?, message))
}
