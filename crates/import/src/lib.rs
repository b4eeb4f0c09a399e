//! Brings menus from CSV files into a running platform, over its public API.
//!
//! It is a client like any other: it knows the contract and no service. [`menu::run`] is what `comanda import menu` does; the other
//! modules are its parts, open to programs that read the same files.

pub mod error;
pub mod item_id;
pub mod menu;
pub mod menu_csv;
pub mod platform;
pub mod price;
pub mod record;
pub mod retry;

pub use error::{Answer, Error};
