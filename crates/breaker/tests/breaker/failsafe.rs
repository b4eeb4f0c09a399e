//! A policy of failsafe's decides when to trip; the states stay the breaker's.

use crate::world::{World, config};
use breaker::{Breaker, Clock, Failsafe, Outcome, Reason, State};
use failsafe::backoff::constant;
use failsafe::failure_policy::consecutive_failures;
use std::time::Duration;

fn world() -> World {
    let clock = Clock::manual();
    let policy = Failsafe(consecutive_failures(3, constant(Duration::from_secs(7))));
    let breaker = Breaker::with_policy(&config(), clock.clone(), policy).unwrap();
    World { breaker, clock }
}

#[test]
fn a_policy_of_failsafe_opens_for_as_long_as_its_backoff_says() {
    let world = world();

    world.calls(2, Outcome::Failure);
    assert_eq!(world.breaker.state(), State::Closed);
    world.call(Outcome::Failure);

    let snapshot = world.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.reason), (State::Open, Reason::Policy));
    assert_eq!(snapshot.next_probe_in, Some(Duration::from_secs(7)));
}

#[test]
fn a_success_is_told_to_the_policy() {
    let world = world();

    for _ in 0..3 {
        world.calls(2, Outcome::Failure);
        world.call(Outcome::Success);
    }

    assert_eq!(world.breaker.state(), State::Closed);
}

/// failsafe's own state machine lets all calls through while half-open, and closes by a straggler.
#[test]
fn with_a_policy_of_failsafe_half_open_is_still_leased_and_stragglers_do_not_count() {
    let world = world();
    let straggler = world.begin();
    world.calls(3, Outcome::Failure);
    world.advance_ms(7_000);

    let probe = world.begin();
    assert!(world.breaker.try_acquire().is_err());
    straggler.record(Outcome::Success);
    assert_eq!(world.breaker.state(), State::HalfOpen);
    probe.record(Outcome::Success);

    assert_eq!(world.breaker.state(), State::Closed);
    world.calls(2, Outcome::Failure);
    assert_eq!(world.breaker.state(), State::Closed, "the policy has forgotten what was before");
}
