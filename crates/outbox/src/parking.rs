//! Where messages wait that cannot be handled.

use crate::rows;
use messaging::Message;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::{Change, Error, Statement, Store};

/// Which keys of one consumer are parked; the messages stand in the store.
#[derive(Debug)]
pub(crate) struct Parking {
    store: Store,
    consumer: String,
    keys: Mutex<HashSet<String>>,
}

impl Parking {
    pub(crate) async fn open(store: Store, consumer: &str) -> Result<Self, Error> {
        let query = Statement::new("SELECT DISTINCT key FROM parked WHERE consumer = ?1").bind(consumer);
        let rows = store.query(query).await?;
        let keys: Result<HashSet<String>, Error> = rows.into_iter().map(|mut row| row.take(0)).collect();
        Ok(Parking { store, consumer: consumer.to_owned(), keys: Mutex::new(keys?) })
    }

    /// Whether an earlier message of this key is parked.
    pub(crate) fn holds(&self, key: &str) -> bool {
        self.keys().contains(key)
    }

    /// Parks a message, and with it its key.
    pub(crate) async fn park(&self, message: &Message, why: &str) -> Result<(), Error> {
        let sql = "INSERT INTO parked
            (message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload, consumer, why, parked_us)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING";
        let statement = rows::bind(Statement::new(sql), message);
        let mut change = Change::new();
        change.push(statement.bind(self.consumer.as_str()).bind(why).bind(rows::now_us()));
        self.store.commit(change).await?;
        self.keys().insert(message.key.clone());
        Ok(())
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<String>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
