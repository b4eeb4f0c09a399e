//! A bucket of keys and values that several processes share, where revisions decide between them.

use super::config::JetStreamConfig;
use super::connection;
use super::fault::{Fault, chain};
use super::line::Line;
use super::names;
use crate::Error;
use async_nats::jetstream::kv::{Config as StoreConfig, CreateErrorKind, Operation, Store, UpdateErrorKind};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// What a bucket is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketConfig {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// How long a value is kept after it was written.
    pub kept: Duration,
    /// Bytes that it may take of the broker's disk; then the oldest values go.
    pub bytes_max: u64,
}

/// A bucket. Clones are the same one; it is made when it is used first, and again when the broker has lost it.
#[derive(Debug, Clone)]
pub struct Bucket(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    line: Line,
    context: Context,
    config: BucketConfig,
    replicas: usize,
    request_timeout: Duration,
    store: Mutex<Option<Store>>,
}

impl Bucket {
    /// Begins to connect, and returns before NATS is there if it is away.
    ///
    /// # Errors
    /// When the settings make no sense or name files that cannot be read, and when a server is there that will not do.
    pub async fn open(line: &JetStreamConfig, config: BucketConfig) -> Result<Self, Error> {
        line.check()?;
        if !names::is_name(&config.name) || config.name.contains('.') {
            return Err(Error::Settings { what: format!("{:?} is no name of a bucket", config.name) });
        }
        let settings = Arc::new(line.clone());
        let line = connection::lasting(&settings).await?;
        if line.is_connected() {
            connection::supported(&line.client, &settings).map_err(failed)?;
        }
        let request_timeout = Duration::from_millis(settings.request_timeout_ms);
        let mut context = jetstream::new(line.client.clone());
        context.set_timeout(request_timeout);
        let (replicas, store) = (usize::from(settings.replicas), Mutex::default());
        Ok(Bucket(Arc::new(Shared { line, context, config, replicas, request_timeout, store })))
    }

    /// The value of a key, and its revision.
    ///
    /// # Errors
    /// When the broker is away, or refuses.
    pub async fn get(&self, key: &str) -> Result<Option<(Bytes, u64)>, Error> {
        let store = self.store().await?;
        let entry = self.answered(store.entry(key)).await?;
        let entry = self.outcome(entry).await?;
        Ok(entry.filter(|entry| entry.operation == Operation::Put).map(|entry| (entry.value, entry.revision)))
    }

    /// Writes the value of a key that has none, and returns its revision; `None`: it has one.
    ///
    /// # Errors
    /// When the broker is away, or refuses. The value may have been written.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<Option<u64>, Error> {
        let store = self.store().await?;
        match self.answered(store.create(key, value)).await? {
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(None),
            other => self.outcome(other).await.map(Some),
        }
    }

    /// Writes the value of a key that is still at this revision, and returns its new one; `None`: it is not.
    ///
    /// # Errors
    /// When the broker is away, or refuses. The value may have been written.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<Option<u64>, Error> {
        let store = self.store().await?;
        match self.answered(store.update(key, value, revision)).await? {
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
            other => self.outcome(other).await.map(Some),
        }
    }

    /// Removes a key that is still at this revision; one that is not stays.
    ///
    /// # Errors
    /// When the broker is away, or refuses. The key may have been removed.
    pub async fn delete(&self, key: &str, revision: u64) -> Result<(), Error> {
        let store = self.store().await?;
        match self.answered(store.delete_expect_revision(key, Some(revision))).await? {
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(()),
            other => self.outcome(other).await,
        }
    }

    /// The bucket as the client knows it; made if it is not there.
    async fn store(&self) -> Result<Store, Error> {
        let Shared { line, context, config, .. } = &*self.0;
        line.check_connected().map_err(failed)?;
        let mut held = self.0.store.lock().await;
        if let Some(store) = &*held {
            return Ok(store.clone());
        }
        let wanted = StoreConfig {
            bucket: config.name.clone(),
            description: "written by comanda".to_owned(),
            history: 1,
            max_age: config.kept,
            max_bytes: i64::try_from(config.bytes_max).unwrap_or(i64::MAX),
            num_replicas: self.0.replicas,
            ..StoreConfig::default()
        };
        let store = match self.answered(context.get_key_value(&config.name)).await? {
            Ok(store) => store,
            // Whoever else has made it meanwhile has made the same.
            Err(_missing) => {
                let created = self.answered(context.create_key_value(wanted)).await?;
                created.map_err(|error| failed(Fault::Answer(chain(&error))))?
            }
        };
        *held = Some(store.clone());
        Ok(store)
    }

    /// A failure may mean that the bucket is gone; then the next use makes it again.
    async fn outcome<T, E: std::error::Error>(&self, result: Result<T, E>) -> Result<T, Error> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                *self.0.store.lock().await = None;
                Err(failed(Fault::Answer(chain(&error))))
            }
        }
    }

    async fn answered<F: Future>(&self, request: F) -> Result<F::Output, Error> {
        let within = self.0.request_timeout;
        timeout(within, request).await.map_err(|_elapsed| failed(Fault::TimedOut(within.as_millis())))
    }
}

fn failed(fault: Fault) -> Error {
    Error::SetUp { is_transient: fault.is_transient(), source: fault.into() }
}
