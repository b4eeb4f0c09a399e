//! The Order Service as its callers see it: over gRPC and over the bus, on a store of its own.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod clients;
mod events;
mod house;
mod replica;
mod validating;
mod waiting;
