//! Restaurants, menus and tickets as rows.

mod restaurant;
mod ticket;

pub(crate) use restaurant::{exists, insert, list, load, load_known, revise_menu, update};
pub(crate) use ticket::{audit, call_off, insert_ticket, list_tickets, load_ticket, ticket_of_order};

use store::{Change, Error, Migration, Store};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "restaurants, menus, tickets",
    sql: include_str!("migrations/0001_restaurants.sql"),
}];

/// Sorts after every id, which has 16 bytes.
const AFTER_ALL_IDS: [u8; 17] = [0xff; 17];

/// Brings the tables of this crate up to date.
pub(crate) async fn migrate(store: &Store) -> Result<(), Error> {
    store.migrate("restaurant", MIGRATIONS).await
}

/// Waits until whoever was faster can be read. A conflict may be told before what it lost against is committed; a change is answered
/// after all that came before it, so one that does nothing is enough.
pub(crate) async fn settled(store: &Store) -> Result<(), Error> {
    store.commit(Change::new()).await.map(|_| ())
}

/// A row that is not as it was written.
fn not(column: usize, expected: &'static str) -> Error {
    Error::Column { column, expected }
}

/// The id that a page begins before.
fn before(after: Option<[u8; 16]>) -> Vec<u8> {
    after.map_or_else(|| AFTER_ALL_IDS.to_vec(), |id| id.to_vec())
}
