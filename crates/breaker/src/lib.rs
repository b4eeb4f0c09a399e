//! A circuit breaker: stops calling a peer that keeps failing, and asks again with a few probes.
//!
//! A [`Breaker`] gives each call a [`Permit`] or refuses it, and takes the [`Outcome`] back. Three signals open it, since each misses what the
//! others see: a run of failures (a dead peer), a failure ratio over a window (a half-dead one) and a ratio of slow calls (a hung one).
//!
//! - [`grpc`] and [`http`] say what an answer tells about the peer; [`BreakerLayer`] puts a breaker around a `tower` service with one of them, and
//!   decides at the end of the stream.
//! - [`Clock`]: a permitted and a refused call read a coarse time by one load; tests advance a clock of their own.
//! - [`TripPolicy`] opens a breaker in place of the run and the ratio, such as one of `failsafe`'s policies.
//! - [`Snapshot`] and [`Event`] are for the operator, who can also [`force`](Breaker::force) a breaker.

mod breaker;
mod classify;
mod clock;
mod config;
pub mod grpc;
pub mod http;
mod layer;
mod machine;
mod sync;

pub use breaker::{Breaker, OwnedPermit, Permit};
pub use classify::{Classify, Verdict, broken};
pub use clock::Clock;
pub use config::Config;
pub use layer::{Begins, Body, BreakerLayer, BreakerService, ResponseFuture};
#[cfg(feature = "failsafe")]
pub use machine::Failsafe;
pub use machine::{Event, Forced, Outcome, Reason, Rejected, Snapshot, State, TripPolicy};

/// What is wrong with a breaker before it is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A setting that no breaker can work with.
    #[error("failed to make a circuit breaker: {setting} must be {range}")]
    OutOfRange {
        /// Its name.
        setting: &'static str,
        /// What it may be.
        range: &'static str,
    },
}
