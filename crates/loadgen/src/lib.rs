//! Puts real orders into a running platform and checks that each is decided, right and once.
//!
//! It is a client of the public API and shares nothing with the services but the contract. Everything runs in one task on one thread:
//! the platform under test has the same cores, and a client that takes little of them measures the platform rather than itself.

pub mod args;
pub mod check;
pub mod client;
pub mod error;
pub mod follow;
pub mod latency;
pub mod orders;
pub mod orders_csv;
pub mod place;
pub mod progress;
pub mod replay;
pub mod report;
pub mod setup;

pub use error::Error;
