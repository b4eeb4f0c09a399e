//! Transactional outbox, relay, obligations, inbox and parking.
//!
//! - [`append`] writes a message in the transaction that changes the state; [`relay()`] moves it to the bus, at least once and in order.
//!   It reads the tables, or the log of the server ([`Publisher`]). [`pause`], [`resume`], [`switch`], [`replay`] and [`status`] are for the
//!   operator.
//! - [`oblige`] notes, in the same transaction, that a reply is expected; only [`settle`], in the transaction that takes the reply in,
//!   removes the note; [`sweep()`] sends the command again when the reply is late. So nothing depends on the bus's memory. [`Reviving`]
//!   hurries when there is reason to: the other side is back, or the bus has lost what it held.
//! - [`consume()`] hands messages to a [`Handle`], key by key in order; [`Inbox`] answers a command once in effect, and again with the
//!   same reply when it comes again. A handler that commits by itself has [`answer()`] and [`answered`] for that.
//! - A message that cannot be handled is parked, and so is what comes after it with the same key; other keys flow. An operator lists
//!   what is parked ([`list_parked`]), has it handled again in its order ([`redrive`]), or gives it up ([`discard`]).
//! - [`diagnose`] names the cause of a backlog, from what [`service_facts`] and [`consumer_facts`] have found out.

mod action;
mod answers;
mod append;
mod audit;
mod clock;
mod config;
mod consume;
mod control;
mod diagnose;
mod facts;
mod finding;
mod inbox;
mod journal;
mod lease;
mod metrics;
mod obligation;
mod outcome;
mod parked;
mod parking;
mod redrive;
mod relay;
mod revive;
mod rows;
mod schema;
mod selection;
mod sweep;
mod tailing;
mod waiting;
mod watch;

pub use action::{Action, ActionKind, By, action, actions, discard, redrive};
pub use answers::Answers;
pub use append::append;
pub use audit::{Audit, ParkedMessage, audit, probe};
pub use config::{Config, NoLog, Publisher};
pub use consume::{Consumer, Handle, consume};
pub use control::{Holder, OpenTransaction, Replay, Slot, Status, pause, replay, resume, status, switch};
pub use diagnose::{diagnose, explain};
pub use facts::{
    Asked, Backlog, ConsumerFacts, Facts, Heard, LogSlot, Overdue, ServiceFacts, consumer_facts, service_facts,
};
pub use finding::{Cause, Finding};
pub use inbox::{Inbox, Respond, Response, answer, answered, keep_inbox_small};
pub use metrics::{Metrics, observe};
pub use obligation::{Awaited, awaited, oblige, settle};
pub use outcome::Outcome;
pub use parked::{Parked, ParkedKeys, Payload, list_parked, parked_keys, would_discard, would_redrive};
pub use relay::relay;
pub use revive::{Reviving, revive};
pub use schema::migrate;
pub use selection::Selection;
pub use sweep::sweep;
pub use waiting::Waiting;
pub use watch::{OnLoss, watch};
