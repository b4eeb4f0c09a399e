//! The outbox on a real SQLite file and the embedded bus.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod audit;
mod consume;
mod inbox;
mod metrics;
mod parking;
mod postgres;
mod relay;
mod sweep;
mod tailing;
mod world;
