//! What a breaker promises, told through its public face and a clock that is moved by hand.
#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

#[cfg(feature = "failsafe")]
mod failsafe;
mod layer;
mod model;
mod permits;
mod reference;
mod states;
mod world;
