//! Whatever happens in whatever order, the breaker says the same as the slow reference.

use crate::reference::{Call, Reference, Said};
use breaker::{Breaker, Clock, Config, Forced, Outcome, OwnedPermit, Reason};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::proptest;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Step {
    Acquire,
    Record(usize, Outcome),
    Answered(usize),
    Drop(usize),
    Advance(u64),
    Trip,
    Force(Option<Forced>),
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Success),
        6 => Just(Outcome::Failure),
        2 => Just(Outcome::Slow),
        1 => Just(Outcome::Ignored),
        1 => Just(Outcome::Pushback),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let forced = prop_oneof![Just(None), Just(None), Just(Some(Forced::Open)), Just(Some(Forced::Closed))];
    prop_oneof![
        40 => Just(Step::Acquire),
        40 => (any::<usize>(), outcomes()).prop_map(|(call, outcome)| Step::Record(call, outcome)),
        5 => any::<usize>().prop_map(Step::Answered),
        5 => any::<usize>().prop_map(Step::Drop),
        12 => (0_u64..60).prop_map(Step::Advance),
        8 => (0_u64..1_500).prop_map(Step::Advance),
        1 => Just(Step::Advance(100_000)),
        1 => Just(Step::Trip),
        1 => forced.prop_map(Step::Force),
    ]
}

/// Small numbers, so that a few hundred steps see everything.
fn configs() -> impl Strategy<Value = Config> {
    let trips = (0_u32..5, prop_oneof![Just(0.0), 0.2..=1.0], prop_oneof![Just(0.0), 0.2..=1.0], 1_u32..8);
    let window = (1_u32..=16, 100_u64..300, prop_oneof![Just(0), 20_u64..400]);
    let probes = (1_u32..4, 1_u32..4, 1_u64..400, any::<bool>());
    let open = (1_u64..800, 0_u64..2_000);
    (trips, window, probes, open).prop_map(|(trips, window, probes, open)| Config {
        consecutive_failures: trips.0,
        failure_ratio: trips.1,
        slow_ratio: trips.2,
        calls_min: trips.3,
        buckets: window.0,
        window_ms: window.1 * u64::from(window.0),
        slow_ms: window.2,
        probes: probes.0,
        probes_ok: probes.1,
        probe_lease_ms: probes.2,
        metrics_only: probes.3,
        open_ms: open.0,
        open_max_ms: open.0 + open.1,
        jitter: 0.0,
        ramp_ms: 500,
    })
}

fn said(breaker: &Breaker) -> Said {
    let is_usable = breaker.is_usable();
    let snapshot = breaker.snapshot();
    Said {
        state: snapshot.state,
        reason: snapshot.reason,
        generation: snapshot.generation,
        counts: [snapshot.calls, snapshot.failures, snapshot.slow],
        run: snapshot.run,
        next_probe_in: snapshot.next_probe_in,
        probes_out: snapshot.probes_out,
        is_usable,
    }
}

/// Takes one of the calls under way, if there are any.
fn take(calls: &mut Vec<(OwnedPermit, Call)>, which: usize) -> Option<(OwnedPermit, Call)> {
    let which = which.checked_rem(calls.len())?;
    Some(calls.swap_remove(which))
}

fn check(config: &Config, steps: Vec<Step>) {
    let clock = Clock::manual();
    let breaker = Breaker::with_clock(config, clock.clone()).unwrap();
    let mut reference = Reference::new(config.clone());
    let mut calls: Vec<(OwnedPermit, Call)> = Vec::new();
    for step in steps {
        let told = format!("{step:?}");
        match step {
            Step::Acquire => {
                let pair = (breaker.try_acquire_owned(), reference.acquire());
                assert_eq!(pair.0.is_ok(), pair.1.is_some(), "{pair:?}");
                calls.extend(pair.0.ok().zip(pair.1));
            }
            Step::Record(which, outcome) => {
                let Some((permit, call)) = take(&mut calls, which) else { continue };
                permit.record(outcome);
                reference.record(call, outcome);
            }
            Step::Answered(which) => {
                let Some((mut permit, mut call)) = take(&mut calls, which) else { continue };
                permit.answered();
                reference.answered(&mut call);
                calls.push((permit, call));
            }
            Step::Drop(which) => {
                let Some((permit, call)) = take(&mut calls, which) else { continue };
                drop(permit);
                reference.drop(call);
            }
            Step::Advance(ms) => {
                clock.advance(Duration::from_millis(ms));
                reference.advance(ms);
            }
            Step::Trip => {
                breaker.trip(Reason::Caller);
                reference.trip(Reason::Caller);
            }
            Step::Force(forced) => {
                breaker.force(forced);
                reference.force(forced);
            }
        }
        assert_eq!(said(&breaker), reference.said(), "after {told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn it_says_the_same_as_the_reference(config in configs(), steps in vec(steps(), 1..400)) {
        check(&config, steps);
    }
}
