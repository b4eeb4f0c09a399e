//! A breaker with its clock, and calls that end as told.

use breaker::{Breaker, Clock, Config, Outcome, OwnedPermit};
use std::time::Duration;

pub(crate) struct World {
    pub(crate) breaker: Breaker,
    pub(crate) clock: Clock,
}

/// Five failures open it for a second, without chance; one good probe closes it.
pub(crate) fn config() -> Config {
    Config { jitter: 0.0, probes_ok: 1, ..Config::default() }
}

impl World {
    pub(crate) fn new(config: &Config) -> Self {
        let clock = Clock::manual();
        let breaker = Breaker::with_clock(config, clock.clone()).unwrap();
        World { breaker, clock }
    }

    pub(crate) fn call(&self, outcome: Outcome) {
        self.begin().record(outcome);
    }

    pub(crate) fn calls(&self, count: usize, outcome: Outcome) {
        (0..count).for_each(|_| self.call(outcome));
    }

    pub(crate) fn begin(&self) -> OwnedPermit {
        self.breaker.try_acquire_owned().unwrap()
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    /// Opens it by a run of failures, and lets the open time go by.
    pub(crate) fn open_and_wait(&self) {
        self.calls(5, Outcome::Failure);
        self.advance_ms(1_000);
    }
}
