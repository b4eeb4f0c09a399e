//! Transactions as values over SQLite or PostgreSQL, with group commit.
//!
//! A [`Change`] is a list of statements and of what each of them must have done; a [`Store`] does all of it or nothing. Since a change is
//! a value, many of them can share one `COMMIT` and with it one flush of the disk, and one that fails does not hurt the others. What a
//! change depends on is read before, decided in pure code, and guarded by an expectation such as `WHERE version = 3` touching one row;
//! [`Error::Conflict`] says that somebody else was faster and the decision is to be made again.

mod change;
mod error;
mod postgres;
mod queue;
mod sqlite;
mod value;

pub use change::{Change, Committed, Statement};
pub use error::Error;
pub use postgres::{Postgres, PostgresAccess, PostgresConfig, PostgresTls};
pub use sqlite::{Config, Sqlite};
pub use value::{FromValue, Row, Value};

use std::path::Path;
use tokio::sync::watch;

/// One step of a schema's growth. Steps are applied in order and never changed afterwards.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// From 1, without gaps.
    pub version: u32,
    /// What it brings.
    pub name: &'static str,
    /// Statements for SQLite, separated by semicolons.
    pub sqlite: &'static str,
    /// The same for PostgreSQL; `None`: this component is kept in SQLite only.
    pub postgres: Option<&'static str>,
}

/// Which SQL a store speaks. Statements are written once where both understand them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// Where the data of one service is kept. Clones share it.
#[derive(Debug, Clone)]
pub enum Store {
    /// One SQLite file.
    Sqlite(Sqlite),
    /// One PostgreSQL database.
    Postgres(Postgres),
}

impl Store {
    /// Opens the SQLite file at `path`, and creates it if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened, or the SQLite in this program is one that can corrupt it.
    pub fn open_sqlite(path: &Path, config: &Config) -> Result<Self, Error> {
        Sqlite::open(path, config).map(Store::Sqlite)
    }

    /// Opens the SQLite file at `path` for reading only, beside the process that writes it.
    ///
    /// # Errors
    /// When it is not there or cannot be opened.
    pub fn inspect_sqlite(path: &Path) -> Result<Self, Error> {
        Sqlite::inspect(path).map(Store::Sqlite)
    }

    /// Opens a PostgreSQL database.
    ///
    /// # Errors
    /// When it cannot be reached ([`Error::is_transient`]), the settings do not fit it, or it does not keep what it acknowledges.
    pub async fn open_postgres(config: &PostgresConfig) -> Result<Self, Error> {
        Postgres::open(config).await.map(Store::Postgres)
    }

    /// Opens a PostgreSQL database for reading only.
    ///
    /// # Errors
    /// When it cannot be reached ([`Error::is_transient`]), or the settings do not fit it.
    pub async fn inspect_postgres(config: &PostgresConfig) -> Result<Self, Error> {
        Postgres::inspect(config).await.map(Store::Postgres)
    }

    /// Which SQL it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Store::Sqlite(_) => Dialect::Sqlite,
            Store::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Brings the schema of one component up to date. Components of one store grow independently.
    ///
    /// # Errors
    /// When a step fails; the steps before it stay.
    pub async fn migrate(&self, component: &'static str, migrations: &'static [Migration]) -> Result<(), Error> {
        match self {
            Store::Sqlite(sqlite) => sqlite.migrate(component, migrations).await,
            Store::Postgres(postgres) => postgres.migrate(component, migrations).await,
        }
    }

    /// Does all of a change, durably, or nothing of it.
    ///
    /// Cancel safe: a change that was accepted is done or not done as a whole; only the answer is lost.
    ///
    /// # Errors
    /// [`Error::Conflict`] when an expectation is not met; otherwise the fault that kept it from being done.
    pub async fn commit(&self, change: Change) -> Result<Committed, Error> {
        match self {
            Store::Sqlite(sqlite) => sqlite.commit(change).await,
            Store::Postgres(postgres) => postgres.commit(change).await,
        }
    }

    /// Hands in a change whose loss does no harm, without waiting for it. A fault is logged. Returns whether it was taken: a writer that
    /// is busy, or not there, does not take it.
    #[must_use]
    pub fn submit(&self, change: Change) -> bool {
        match self {
            Store::Sqlite(sqlite) => sqlite.submit(change),
            Store::Postgres(postgres) => postgres.submit(change),
        }
    }

    /// Reads the rows of one query.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn query(&self, query: Statement) -> Result<Vec<Row>, Error> {
        let mut results = self.snapshot(vec![query]).await?;
        Ok(results.pop().unwrap_or_default())
    }

    /// Reads the rows of several queries, all of them as of one moment.
    ///
    /// # Errors
    /// When a query fails.
    pub async fn snapshot(&self, queries: Vec<Statement>) -> Result<Vec<Vec<Row>>, Error> {
        match self {
            Store::Sqlite(sqlite) => sqlite.snapshot(queries).await,
            Store::Postgres(postgres) => postgres.snapshot(queries).await,
        }
    }

    /// Changes whenever a change was committed that asked for it with [`Change::wake`].
    #[must_use]
    pub fn woken(&self) -> watch::Receiver<u64> {
        match self {
            Store::Sqlite(sqlite) => sqlite.woken(),
            Store::Postgres(postgres) => postgres.woken(),
        }
    }

    /// How durable a committed change is, in words for `/readyz`.
    #[must_use]
    pub fn durability(&self) -> String {
        match self {
            Store::Sqlite(sqlite) => sqlite.durability(),
            Store::Postgres(postgres) => postgres.durability(),
        }
    }
}
