//! Transactional outbox, relay, obligations, inbox and parking.
//!
//! - [`append`] writes a message in the transaction that changes the state; [`relay()`] moves it to the bus, at least once and in order.
//! - [`oblige`] notes, in the same transaction, that a reply is expected; only [`settle`], in the transaction that takes the reply in,
//!   removes the note; [`sweep()`] sends the command again when the reply is late. So nothing depends on the bus's memory.
//! - [`consume()`] hands messages to a [`Handle`], key by key in order; [`Inbox`] answers a command once in effect, and again with the
//!   same reply when it comes again.
//! - A message that cannot be handled is parked, and so is what comes after it with the same key; other keys flow.

mod append;
mod audit;
mod config;
mod consume;
mod inbox;
mod metrics;
mod obligation;
mod parking;
mod relay;
mod rows;
mod schema;
mod sweep;

pub use append::append;
pub use audit::{Audit, ParkedMessage, audit, probe};
pub use config::Config;
pub use consume::{Consumer, Handle, Outcome, consume};
pub use inbox::{Inbox, Respond, Response, keep_inbox_small};
pub use metrics::{Metrics, observe};
pub use obligation::{oblige, settle};
pub use relay::relay;
pub use schema::migrate;
pub use sweep::sweep;
