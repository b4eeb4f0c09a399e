//! PostgreSQL: a thread that writes, with group commit, and a few lines that read.

mod access;
mod config;
mod connection;
mod migrate;
mod parts;
mod reader;
mod target;
mod transaction;
mod value;
mod writer;

pub use access::PostgresAccess;
pub use config::{PostgresConfig, PostgresTls};
pub(crate) use value::column;

use crate::{Change, Committed, Error, Migration, Row, Statement};
use connection::{Connection, Purpose};
use reader::Readers;
use std::sync::Arc;
use target::Target;
use tokio::sync::watch;
use writer::Writer;

/// One PostgreSQL database. Clones share it.
#[derive(Debug, Clone)]
pub struct Postgres {
    target: Arc<Target>,
    readers: Arc<Readers>,
    writer: Option<Arc<Writer>>,
    durability: Arc<str>,
}

impl Postgres {
    pub(crate) async fn open(config: &PostgresConfig) -> Result<Self, Error> {
        let mut opened = Postgres::inspect(config).await?;
        let writer = Writer::start(&opened.target, config.writers.get());
        let failed = |error: std::io::Error| Error::Connect {
            to: opened.target.to_string(),
            is_transient: true,
            source: Box::new(error),
        };
        opened.writer = Some(Arc::new(writer.map_err(failed)?));
        Ok(opened)
    }

    pub(crate) async fn inspect(config: &PostgresConfig) -> Result<Self, Error> {
        let target = Arc::new(Target::new(config)?);
        let line = Connection::open(&target, Purpose::Read).await?;
        let durability = line.durability.as_str().into();
        let readers = Readers::new(target.clone(), config.readers.get());
        readers.keep(line);
        Ok(Postgres { target, readers: Arc::new(readers), writer: None, durability })
    }

    pub(crate) async fn migrate(&self, component: &'static str, migrations: &[Migration]) -> Result<(), Error> {
        self.writer()?;
        migrate::migrate(&self.target, component, migrations).await
    }

    pub(crate) async fn commit(&self, change: Change) -> Result<Committed, Error> {
        self.writer()?.commit(change).await
    }

    pub(crate) fn submit(&self, change: Change) -> bool {
        self.writer().is_ok_and(|writer| writer.submit(change))
    }

    pub(crate) async fn snapshot(&self, queries: Vec<Statement>) -> Result<Vec<Vec<Row>>, Error> {
        self.readers.snapshot(&queries).await
    }

    /// What a client of another kind needs to reach this database.
    #[must_use]
    pub fn access(&self) -> PostgresAccess {
        PostgresAccess::new(&self.target.config, self.target.files.as_ref())
    }

    pub(crate) fn woken(&self) -> watch::Receiver<u64> {
        match &self.writer {
            Some(writer) => writer.woken(),
            None => watch::channel(0).1,
        }
    }

    pub(crate) fn durability(&self) -> String {
        self.durability.to_string()
    }

    fn writer(&self) -> Result<&Writer, Error> {
        self.writer.as_deref().ok_or(Error::Closed)
    }
}
