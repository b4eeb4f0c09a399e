//! The databases under test.

use servers::Postgres;
use std::future::Future;
use store::{Config, Migration, PostgresConfig, Store};
use tempfile::TempDir;

/// One database that can be opened again and again.
pub(crate) trait Database {
    fn open(&self) -> impl Future<Output = Store>;
}

/// A file in a folder that goes away.
pub(crate) struct SqliteFile(TempDir);

impl SqliteFile {
    pub(crate) fn new() -> Self {
        SqliteFile(tempfile::tempdir().unwrap())
    }
}

impl Database for SqliteFile {
    async fn open(&self) -> Store {
        Store::open_sqlite(&self.0.path().join("store.db"), &Config::default()).unwrap()
    }
}

/// A database of its own on the server that all tests share.
pub(crate) struct PostgresDatabase(PostgresConfig);

impl PostgresDatabase {
    pub(crate) async fn new() -> Option<Self> {
        if !Postgres::require() {
            return None;
        }
        let url = Postgres::shared().await.database().await;
        Some(PostgresDatabase(PostgresConfig { url, ..PostgresConfig::default() }))
    }
}

impl Database for PostgresDatabase {
    async fn open(&self) -> Store {
        Store::open_postgres(&self.0).await.unwrap()
    }
}

/// A step whose text both databases understand.
pub(crate) const fn step(version: u32, name: &'static str, sql: &'static str) -> Migration {
    Migration { version, name, sqlite: sql, postgres: Some(sql) }
}
