//! What a guard lets through, told through the layer, with a service behind it that notes what reaches it.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod access;
mod deadlines;
mod idempotency;
mod key_sets;
mod rates;
mod renewed;
mod rest;
#[cfg(feature = "jetstream")]
mod shared_answers;
mod shop;
mod signing;
mod tokens;
