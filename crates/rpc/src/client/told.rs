//! Tells the log of the changes of a breaker, each once.

use breaker::{Breaker, State};
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::{info, warn};

/// The state that was told last.
#[derive(Debug, Default)]
pub(crate) struct Told(AtomicU8);

impl Told {
    /// Tells a state if it is another one than before. `peer`: the endpoint, or all of the service.
    pub(crate) fn tell(&self, breaker: &Breaker, state: State, service: &str, peer: &str) {
        let number = number(state);
        if self.0.load(Ordering::Relaxed) == number || self.0.swap(number, Ordering::Relaxed) == number {
            return;
        }
        let seen = breaker.snapshot();
        let (reason, failures, calls) = (seen.reason.as_str(), seen.failures, seen.calls);
        match state {
            State::Open | State::ForcedOpen => warn!(service, peer, reason, failures, calls, "breaker opened"),
            State::HalfOpen => info!(service, peer, "breaker is half-open"),
            State::Closed | State::ForcedClosed => info!(service, peer, reason, "breaker closed"),
        }
    }
}

fn number(state: State) -> u8 {
    match state {
        State::Closed => 0,
        State::Open => 1,
        State::HalfOpen => 2,
        State::ForcedOpen => 3,
        State::ForcedClosed => 4,
    }
}
