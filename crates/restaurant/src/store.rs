//! Restaurants, menus and tickets as rows.

mod known;
mod menu_cache;
mod restaurant;
mod ticket;

pub(crate) use known::load_known;
pub(crate) use menu_cache::MenuCache;
pub(crate) use restaurant::{exists, hold, ids_after, insert, list, load, revise_menu, update};
pub(crate) use ticket::{audit, call_off, insert_ticket, list_tickets, load_ticket, ticket_of_order};

use store::{Error, Migration, Store};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "restaurants, menus, tickets",
    sqlite: include_str!("migrations/0001_restaurants.sql"),
    postgres: Some(include_str!("migrations/0001_restaurants.postgres.sql")),
}];

/// Sorts after every id, which has 16 bytes.
const AFTER_ALL_IDS: [u8; 17] = [0xff; 17];

/// Brings the tables of this crate up to date.
pub(crate) async fn migrate(store: &Store) -> Result<(), Error> {
    outbox::migrate(store).await?;
    store.migrate("restaurant", MIGRATIONS).await
}

/// A row that is not as it was written.
fn not(column: usize, expected: &'static str) -> Error {
    Error::Column { column, expected }
}

/// The id that a page begins before.
fn before(after: Option<[u8; 16]>) -> Vec<u8> {
    after.map_or_else(|| AFTER_ALL_IDS.to_vec(), |id| id.to_vec())
}
