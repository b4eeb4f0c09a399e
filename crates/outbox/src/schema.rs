//! The tables, which stand in the database of the service that they serve.

use store::{Error, Migration, Store};

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "outbox, obligations, inbox, parking",
        sqlite: include_str!("migrations/001_sqlite.sql"),
        postgres: Some(include_str!("migrations/001_postgres.sql")),
    },
    Migration {
        version: 2,
        name: "lease, last attempt, incarnations of the bus",
        sqlite: include_str!("migrations/002_sqlite.sql"),
        postgres: Some(include_str!("migrations/002_postgres.sql")),
    },
    Migration {
        version: 3,
        name: "positions from 0",
        sqlite: include_str!("migrations/003_sqlite.sql"),
        postgres: Some(include_str!("migrations/003_postgres.sql")),
    },
    Migration {
        version: 4,
        name: "tailing",
        sqlite: include_str!("migrations/004_sqlite.sql"),
        postgres: Some(include_str!("migrations/004_postgres.sql")),
    },
    Migration {
        version: 5,
        name: "pages without a copy",
        sqlite: include_str!("migrations/005_sqlite.sql"),
        postgres: Some(include_str!("migrations/005_postgres.sql")),
    },
];

/// Brings the tables of this crate up to date.
///
/// # Errors
/// When the store refuses a step.
pub async fn migrate(store: &Store) -> Result<(), Error> {
    store.migrate("outbox", MIGRATIONS).await?;
    crate::parking::migrate(store).await
}
