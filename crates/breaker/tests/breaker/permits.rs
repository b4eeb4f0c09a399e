//! Calls that do not simply end: cancelled, hung, late, and as long as a day. Each says what the other libraries make of it.

use crate::world::{World, config};
use breaker::{Breaker, Config, Outcome, State};

/// linkerd2-proxy's newest breaker, opossum 9, gobreaker 2 and Polly 8 stay half-open until a restart: their probe's place is given
/// back by its outcome alone, and a cancelled call has none.
#[test]
fn a_cancelled_probe_gives_its_place_back() {
    let world = World::new(&config());
    world.open_and_wait();

    let probe = world.begin();
    assert!(probe.is_probe());
    assert!(world.breaker.try_acquire().is_err());
    drop(probe);

    world.call(Outcome::Success);
    assert_eq!(world.breaker.state(), State::Closed);
}

/// tower-resilience never closes again while its probe hangs; resilience4j has a limit for it that is off by default.
#[test]
fn a_hung_probe_loses_its_place_when_its_lease_runs_out() {
    let world = World::new(&config());
    world.open_and_wait();

    let hung = world.begin();
    let rejected = world.breaker.try_acquire().unwrap_err();
    assert_eq!((rejected.state, rejected.retry_after_ms), (State::HalfOpen, 5_000));
    world.advance_ms(5_000);
    world.call(Outcome::Success);

    assert_eq!(world.breaker.state(), State::Closed);
    drop(hung);
    assert_eq!(world.breaker.state(), State::Closed);
}

#[test]
fn a_probe_that_comes_back_after_its_lease_does_not_count() {
    for outcome in [Outcome::Success, Outcome::Failure] {
        let world = World::new(&config());
        world.open_and_wait();
        let late = world.begin();
        world.advance_ms(5_000);

        late.record(outcome);

        assert_eq!(world.breaker.state(), State::HalfOpen);
        assert!(world.breaker.is_usable());
    }
}

/// Of 1,000 calls at once failsafe and recloser let 1,000 through.
#[test]
fn no_more_probes_are_out_than_are_allowed() {
    let world = World::new(&Config { probes: 3, probes_ok: 5, ..config() });
    world.open_and_wait();

    let probes: Vec<_> = (0..1_000).filter_map(|_| world.breaker.try_acquire_owned().ok()).collect();

    assert_eq!((probes.len(), world.breaker.snapshot().probes_out), (3, 3));
    probes.into_iter().for_each(|probe| probe.record(Outcome::Success));
    let probes: Vec<_> = (0..1_000).filter_map(|_| world.breaker.try_acquire_owned().ok()).collect();
    assert_eq!(probes.len(), 2, "no more than are still wanted");
}

/// failsafe and tower-resilience close by it: neither remembers which state admitted a call.
#[test]
fn a_straggler_from_before_the_trip_neither_closes_nor_opens() {
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Slow, Outcome::Pushback] {
        let world = World::new(&config());
        let stragglers: Vec<_> = (0..30).map(|_| world.begin()).collect();
        world.open_and_wait();
        let probe = world.begin();

        let mut stragglers = stragglers.into_iter();
        stragglers.by_ref().take(10).for_each(|straggler| straggler.record(outcome));
        assert_eq!(world.breaker.state(), State::HalfOpen);
        probe.record(Outcome::Success);
        stragglers.for_each(|straggler| straggler.record(outcome));

        assert_eq!((world.breaker.state(), world.breaker.snapshot().calls), (State::Closed, 0));
    }
}

/// A probe that waits for the end of its stream holds its place for a day, and the peer is refused to everybody else.
#[test]
fn a_day_long_stream_has_its_verdict_at_its_first_message() {
    let world = World::new(&config());
    world.open_and_wait();

    let mut stream = world.begin();
    stream.answered();
    assert_eq!(world.breaker.state(), State::Closed);
    world.advance_ms(86_400_000);
    stream.record(Outcome::Failure);

    assert_eq!(world.breaker.snapshot().failures, 0, "it is of the state that admitted it");
}

#[test]
fn a_day_long_stream_of_a_closed_breaker_is_not_slow_and_its_end_counts() {
    let world = World::new(&config());
    let streams: [_; 3] = std::array::from_fn(|_| {
        let mut stream = world.begin();
        stream.answered();
        stream
    });
    world.advance_ms(86_400_000);

    let [well, broken, dropped] = streams;
    well.record(Outcome::Success);
    broken.record(Outcome::Failure);
    drop(dropped);

    let snapshot = world.breaker.snapshot();
    assert_eq!((snapshot.calls, snapshot.failures, snapshot.slow), (2, 1, 0));
}

#[test]
fn a_stream_whose_first_message_was_late_is_slow() {
    let world = World::new(&config());
    let mut stream = world.begin();
    world.advance_ms(1_000);
    stream.answered();

    stream.record(Outcome::Success);

    assert_eq!(world.breaker.snapshot().slow, 1);
}

/// failsafe, recloser and tower-resilience see nothing of a call that an outer timeout drops: after 100 of 100 they are closed.
#[test]
fn calls_that_an_outer_timeout_drops_open_by_being_slow() {
    let world = World::new(&config());

    for _ in 0..20 {
        let permit = world.begin();
        world.advance_ms(1_000);
        drop(permit);
        world.advance_ms(1);
    }

    // The window holds the last ten of them; it needs as many as are configured.
    assert_eq!(world.breaker.state(), State::Closed);
    let hung: Vec<_> = (0..20).map(|_| world.begin()).collect();
    world.advance_ms(1_000);
    drop(hung);
    assert_eq!(world.breaker.state(), State::Open);
}

#[test]
fn a_call_that_is_dropped_early_says_nothing() {
    let world = World::new(&config());

    for _ in 0..100 {
        let permit = world.begin();
        world.advance_ms(99);
        drop(permit);
    }

    assert_eq!((world.breaker.state(), world.breaker.snapshot().calls), (State::Closed, 0));
}

#[test]
fn a_probe_that_is_dropped_after_the_slow_threshold_has_failed() {
    let world = World::new(&config());
    world.open_and_wait();
    let probe = world.begin();
    world.advance_ms(1_000);

    drop(probe);

    assert_eq!(world.breaker.state(), State::Open);
}

#[test]
fn asking_whether_it_is_usable_takes_no_probe() {
    let world = World::new(&config());
    world.calls(5, Outcome::Failure);
    assert!(!world.breaker.is_usable());
    world.advance_ms(1_000);

    assert!((0..3).all(|_| world.breaker.is_usable()));
    assert_eq!(world.breaker.state(), State::Open);
    let probe = world.begin();
    assert!(!world.breaker.is_usable());
    world.advance_ms(5_000);
    assert!(world.breaker.is_usable());
    drop(probe);
}

#[test]
fn a_borrowed_permit_does_what_an_owned_one_does() {
    let world = World::new(&config());

    for _ in 0..5 {
        world.breaker.try_acquire().unwrap().record(Outcome::Failure);
    }
    world.advance_ms(1_000);
    drop(world.breaker.try_acquire().unwrap());
    let probe = world.breaker.try_acquire().unwrap();
    assert!(probe.is_probe());
    probe.record(Outcome::Success);

    assert_eq!(world.breaker.state(), State::Closed);
}

#[test]
fn a_breaker_and_its_permits_may_cross_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Breaker>();
    check::<breaker::OwnedPermit>();
}
