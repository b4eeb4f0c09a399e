//! Closed, open, half-open and forced: what leads from one to the other.

use crate::world::{World, config};
use breaker::{Breaker, Config, Error, Forced, Outcome, Reason, State};
use std::sync::Barrier;
use std::time::Duration;

#[test]
fn a_run_of_failures_opens() {
    let world = World::new(&config());

    world.calls(4, Outcome::Failure);
    assert_eq!(world.breaker.state(), State::Closed);
    world.call(Outcome::Failure);

    assert_eq!(world.breaker.state(), State::Open);
    assert_eq!(world.breaker.snapshot().reason, Reason::FailureRun);
}

#[test]
fn a_success_ends_the_run() {
    let world = World::new(&config());

    for _ in 0..3 {
        world.calls(4, Outcome::Failure);
        world.call(Outcome::Success);
    }

    assert_eq!(world.breaker.state(), State::Closed);
}

#[test]
fn an_open_breaker_refuses_without_calling() {
    let world = World::new(&config());
    world.calls(5, Outcome::Failure);

    let rejected = world.breaker.try_acquire().unwrap_err();

    assert_eq!((rejected.state, rejected.reason), (State::Open, Reason::FailureRun));
    assert_eq!(rejected.retry_after_ms, 1_000);
    assert_eq!(rejected.to_string(), "refused: the circuit breaker is open (failure run), retry after 1000 ms");
    assert_eq!(world.breaker.snapshot().rejected, 1);
}

/// A ratio over a window that slides: tower-resilience's count window needs as many failures as there ever were successes (20,000 after 20,000).
#[test]
fn a_failure_ratio_over_the_window_opens_whatever_was_before_it() {
    let world = World::new(&Config { consecutive_failures: 0, ..config() });
    world.calls(20_000, Outcome::Success);
    world.advance_ms(10_000);

    for _ in 0..10 {
        assert_eq!(world.breaker.state(), State::Closed);
        world.call(Outcome::Success);
        world.call(Outcome::Failure);
    }

    assert_eq!(world.breaker.snapshot().reason, Reason::FailureRatio);
    assert_eq!(world.breaker.state(), State::Open);
}

/// failsafe's moving average sees one call in a millisecond: with a good one first, 99.97 % failures did not trip it for 338 ms.
#[test]
fn failures_that_share_a_millisecond_with_a_success_count() {
    let world = World::new(&Config { consecutive_failures: 0, ..config() });

    world.call(Outcome::Success);
    world.calls(19, Outcome::Failure);

    assert_eq!(world.breaker.state(), State::Open);
}

#[test]
fn too_few_calls_have_no_ratio() {
    let world = World::new(&Config { consecutive_failures: 0, ..config() });

    world.calls(19, Outcome::Failure);

    assert_eq!(world.breaker.state(), State::Closed);
}

#[test]
fn what_fell_out_of_the_window_does_not_count() {
    let world = World::new(&Config { consecutive_failures: 0, ..config() });
    world.calls(19, Outcome::Failure);
    world.advance_ms(10_000);

    world.call(Outcome::Failure);

    assert_eq!(world.breaker.state(), State::Closed);
    assert_eq!(world.breaker.snapshot().calls, 1);
}

#[test]
fn slow_calls_open_by_their_share_and_not_by_their_run() {
    let world = World::new(&config());

    world.calls(19, Outcome::Slow);
    assert_eq!(world.breaker.state(), State::Closed);
    world.call(Outcome::Slow);

    assert_eq!((world.breaker.state(), world.breaker.snapshot().reason), (State::Open, Reason::SlowRatio));
}

#[test]
fn a_success_that_took_too_long_is_slow() {
    let world = World::new(&config());
    let permit = world.begin();
    world.advance_ms(1_000);

    permit.record(Outcome::Success);

    assert_eq!(world.breaker.snapshot().slow, 1);
}

#[test]
fn a_pushback_counts_in_the_ratio_and_not_in_the_run() {
    let world = World::new(&config());

    world.calls(19, Outcome::Pushback);
    assert_eq!((world.breaker.state(), world.breaker.snapshot().run), (State::Closed, 0));
    world.call(Outcome::Pushback);

    assert_eq!((world.breaker.state(), world.breaker.snapshot().reason), (State::Open, Reason::FailureRatio));
}

#[test]
fn a_refused_connection_opens_at_once() {
    let world = World::new(&config());

    world.breaker.trip(Reason::ConnectFailed);
    world.breaker.trip(Reason::Caller);

    assert_eq!(world.breaker.snapshot().reason, Reason::ConnectFailed);
    assert_eq!(world.breaker.snapshot().generation, 1);
}

#[test]
fn nothing_is_recorded_while_open() {
    let world = World::new(&config());
    let straggler = world.begin();
    world.calls(5, Outcome::Failure);

    straggler.record(Outcome::Success);

    assert_eq!(world.breaker.snapshot().calls, 0);
}

#[test]
fn the_open_time_doubles_to_its_limit_while_probes_fail() {
    let world = World::new(&Config { open_max_ms: 5_000, ..config() });
    world.calls(5, Outcome::Failure);

    for open_ms in [1_000, 2_000, 4_000, 5_000, 5_000] {
        assert_eq!(world.breaker.snapshot().next_probe_in, Some(Duration::from_millis(open_ms)));
        world.advance_ms(open_ms);
        world.call(Outcome::Failure);
    }
}

/// Not at the first success: a peer that falls over again and again would be asked each second for ever.
#[test]
fn the_open_time_halves_with_each_healthy_window() {
    let world = World::new(&config());
    world.open_and_wait();
    for open_ms in [2_000, 4_000] {
        world.call(Outcome::Failure);
        world.advance_ms(open_ms);
    }
    world.call(Outcome::Success);
    world.advance_ms(20_000);

    world.calls(5, Outcome::Failure);

    assert_eq!(world.breaker.snapshot().next_probe_in, Some(Duration::from_secs(2)));
}

/// Of the built-in backoffs of failsafe one begins with a wait of 0 ns.
#[test]
fn half_of_the_open_time_is_left_to_chance_and_the_other_half_is_not() {
    let rests: Vec<Duration> = (0..64)
        .map(|_| {
            let world = World::new(&Config { jitter: 0.5, ..config() });
            world.breaker.trip(Reason::Caller);
            world.breaker.snapshot().next_probe_in.unwrap()
        })
        .collect();

    let range = Duration::from_millis(500)..=Duration::from_millis(1_000);
    assert!(rests.iter().all(|rest| range.contains(rest)), "{rests:?}");
    assert!(rests.iter().any(|rest| rest != &rests[0]), "{rests:?}");
}

#[test]
fn so_many_good_probes_close_as_are_wanted() {
    let world = World::new(&Config { probes_ok: 3, ..config() });
    world.open_and_wait();

    world.calls(2, Outcome::Success);
    assert_eq!(world.breaker.state(), State::HalfOpen);
    world.call(Outcome::Success);

    assert_eq!((world.breaker.state(), world.breaker.snapshot().reason), (State::Closed, Reason::Recovered));
}

#[test]
fn a_probe_that_is_pushed_back_or_slow_has_failed() {
    for outcome in [Outcome::Pushback, Outcome::Slow, Outcome::Failure] {
        let world = World::new(&config());
        world.open_and_wait();

        world.call(outcome);

        assert_eq!((world.breaker.state(), world.breaker.snapshot().reason), (State::Open, Reason::ProbeFailed));
    }
}

#[test]
fn a_recovered_breaker_begins_with_an_empty_window() {
    let world = World::new(&config());
    world.open_and_wait();
    world.call(Outcome::Success);

    world.calls(4, Outcome::Failure);

    assert_eq!(world.breaker.state(), State::Closed);
    assert_eq!(world.breaker.snapshot().calls, 4);
}

#[test]
fn the_weight_climbs_after_recovery() {
    let world = World::new(&config());
    assert!((world.breaker.weight() - 1.0).abs() < f32::EPSILON);
    world.calls(5, Outcome::Failure);
    assert!(world.breaker.weight() < f32::EPSILON);
    world.advance_ms(1_000);
    assert!((world.breaker.weight() - 0.1).abs() < f32::EPSILON);
    world.call(Outcome::Success);

    let weights: Vec<f32> = (0..4)
        .map(|_| {
            world.advance_ms(2_500);
            world.breaker.weight()
        })
        .collect();

    assert_eq!(weights, [0.25, 0.5, 0.75, 1.0]);
}

#[test]
fn forced_states_survive_traffic() {
    let world = World::new(&config());

    world.breaker.force(Some(Forced::Closed));
    world.calls(100, Outcome::Failure);
    world.breaker.trip(Reason::ConnectFailed);
    assert_eq!((world.breaker.state(), world.breaker.snapshot().failures), (State::ForcedClosed, 100));

    world.breaker.force(Some(Forced::Open));
    world.advance_ms(86_400_000);
    assert_eq!(world.breaker.try_acquire().unwrap_err().state, State::ForcedOpen);
    assert!(!world.breaker.is_usable());

    world.breaker.force(None);
    assert_eq!((world.breaker.state(), world.breaker.snapshot().run), (State::Closed, 0));
}

#[test]
fn metrics_only_counts_and_reports_and_refuses_nothing() {
    let world = World::new(&Config { metrics_only: true, ..config() });
    world.calls(5, Outcome::Failure);

    world.calls(3, Outcome::Success);

    assert_eq!((world.breaker.state(), world.breaker.snapshot().rejected), (State::Open, 3));
    assert!(world.breaker.is_usable());
    world.advance_ms(1_000);
    world.call(Outcome::Success);
    assert_eq!(world.breaker.state(), State::Closed);
}

#[test]
fn an_operator_holds_even_a_metrics_only_breaker_open() {
    let world = World::new(&Config { metrics_only: true, ..config() });

    world.breaker.force(Some(Forced::Open));

    assert!(world.breaker.try_acquire().is_err());
    assert!(!world.breaker.is_usable());
}

/// failsafe tells its instruments after it let go of the lock, so two changes may arrive the wrong way round.
#[test]
fn events_come_in_the_order_of_the_changes() {
    let world = World::new(&config());
    let events = world.breaker.events();

    world.open_and_wait();
    world.call(Outcome::Success);

    let changes: Vec<_> = events.try_iter().map(|it| (it.from, it.to, it.generation)).collect();
    let wanted =
        [(State::Closed, State::Open, 1), (State::Open, State::HalfOpen, 2), (State::HalfOpen, State::Closed, 3)];
    assert_eq!(changes, wanted);
}

#[test]
fn events_that_nobody_takes_are_bounded() {
    let world = World::new(&config());
    let events = world.breaker.events();

    for _ in 0..1_000 {
        world.breaker.force(Some(Forced::Open));
        world.breaker.force(None);
    }

    assert_eq!(events.try_iter().count(), 256);
}

#[test]
fn a_setting_out_of_range_is_named() {
    let checks: [(&str, Config); 8] = [
        ("failure_ratio", Config { failure_ratio: 1.5, ..config() }),
        ("slow_ratio", Config { slow_ratio: f64::NAN, ..config() }),
        ("calls_min", Config { calls_min: 0, ..config() }),
        ("buckets", Config { buckets: 0, ..config() }),
        ("window_ms", Config { window_ms: 999, ..config() }),
        ("open_max_ms", Config { open_max_ms: 1, ..config() }),
        ("probes", Config { probes: 0, ..config() }),
        ("probe_lease_ms", Config { probe_lease_ms: 0, ..config() }),
    ];

    for (name, config) in checks {
        let Err(Error::OutOfRange { setting, .. }) = Breaker::new(&config) else { panic!("{name} was accepted") };
        assert_eq!(setting, name);
    }
}

#[test]
fn unknown_settings_are_refused_and_missing_ones_have_defaults() {
    let config: Config = serde_json::from_str(r#"{"open_ms": 250}"#).unwrap();
    assert_eq!(config, Config { open_ms: 250, ..Config::default() });

    let error = serde_json::from_str::<Config>(r#"{"open_for": 250}"#).unwrap_err();
    assert!(error.to_string().contains("open_for"), "{error}");
}

#[test]
fn no_result_is_lost_among_more_threads_than_have_shards() {
    const THREADS: usize = 80;
    let world = World::new(&config());
    let all = Barrier::new(THREADS);

    let calls = || {
        all.wait();
        world.calls(100, Outcome::Success);
        all.wait();
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| _ = scope.spawn(calls)));
    assert_eq!(world.breaker.snapshot().calls, 100 * THREADS as u64);

    world.breaker.trip(Reason::Caller);
    let refusals = || {
        all.wait();
        (0..100).for_each(|_| assert!(world.breaker.try_acquire().is_err()));
        all.wait();
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| _ = scope.spawn(refusals)));
    assert_eq!(world.breaker.snapshot().rejected, 100 * THREADS as u64);
}
