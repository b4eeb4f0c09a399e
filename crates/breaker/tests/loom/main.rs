//! The machine under every interleaving of its atomics, as far as loom can go in bounded time: the same sources, on loom's primitives.
//!
//! Runs with a plain `cargo test`. `LOOM_MAX_PREEMPTIONS=4 cargo test -p breaker --release --test loom` goes further.
#![expect(dead_code, unused_imports, unreachable_pub, reason = "a test uses a part of the machine")]

#[path = "../../src/machine/mod.rs"]
mod machine;
mod sync;

use loom::sync::Arc;
use loom::thread;
use machine::rules::{Rules, Slots};
use machine::{Forced, Machine, Outcome, Reason, State};

/// Two failures open it for a second; one good probe closes it.
fn rules() -> Rules {
    Rules {
        consecutive_failures: 2,
        failure_ratio: 0.0,
        slow_ratio: 0.0,
        calls_min: 2,
        buckets: 1,
        slots: Slots::new(1_000),
        slow_ms: u64::MAX,
        open_ms: 1_000,
        open_max_ms: 1_000,
        jitter: 0.0,
        probes: 1,
        probes_ok: 1,
        probe_lease_ms: 1_000,
        metrics_only: false,
        ramp_ms: 0,
    }
}

fn check(rules: &Rules, story: impl Fn(Arc<Machine>) + Sync + Send + 'static) {
    let rules = rules.clone();
    let mut model = loom::model::Builder::new();
    // More find nothing new here, and take minutes.
    model.preemption_bound = model.preemption_bound.or(Some(3));
    model.check(move || story(Arc::new(Machine::new(rules.clone(), None, 1, 0))));
}

fn call(machine: &Machine, outcome: Outcome, now_ms: u64) {
    if let Ok(ticket) = machine.acquire(now_ms) {
        machine.record(ticket, outcome, 0, now_ms);
    }
}

/// A machine that is half-open, with its probe still to come.
fn half_open_at(machine: &Machine, now_ms: u64) {
    machine.trip(Reason::Caller, now_ms - 1_000);
}

#[test]
fn two_failures_at_once_open_whichever_is_first() {
    check(&rules(), |machine| {
        let other = Arc::clone(&machine);
        let thread = thread::spawn(move || call(&other, Outcome::Failure, 0));
        call(&machine, Outcome::Failure, 0);
        thread.join().ok();

        assert_eq!(machine.state(), State::Open);
        assert_eq!(machine.snapshot(0).generation, 1);
    });
}

#[test]
fn of_two_failures_that_make_the_ratio_the_later_sees_both() {
    check(&Rules { consecutive_failures: 0, failure_ratio: 1.0, ..rules() }, |machine| {
        let other = Arc::clone(&machine);
        let thread = thread::spawn(move || call(&other, Outcome::Failure, 0));
        call(&machine, Outcome::Failure, 0);
        thread.join().ok();

        assert_eq!(machine.state(), State::Open);
    });
}

/// Three good results, of two threads.
fn good_results(machine: &Arc<Machine>) {
    let other = Arc::clone(machine);
    let thread = thread::spawn(move || {
        call(&other, Outcome::Success, 0);
        call(&other, Outcome::Success, 0);
    });
    call(machine, Outcome::Success, 0);
    thread.join().ok();
}

#[test]
fn no_good_result_of_threads_without_shards_is_lost_or_doubled() {
    check(&rules(), |machine| {
        good_results(&machine);

        assert_eq!(machine.snapshot(0).calls, 3);
    });
}

#[test]
fn no_good_result_of_a_thread_with_a_shard_is_lost_or_doubled() {
    check(&rules(), |machine| {
        sync::own_shard();
        good_results(&machine);

        assert_eq!(machine.snapshot(0).calls, 3);
    });
}

#[test]
fn a_straggler_does_not_close_what_is_half_open() {
    check(&rules(), |machine| {
        let straggler = machine.acquire(0);
        half_open_at(&machine, 1_000);
        let other = Arc::clone(&machine);
        let thread = thread::spawn(move || {
            if let Ok(straggler) = straggler {
                other.record(straggler, Outcome::Success, 0, 1_000);
            }
        });
        let probe = machine.acquire(1_000);
        thread.join().ok();

        assert!(probe.is_ok_and(|it| it.is_probe()));
        assert_eq!(machine.state(), State::HalfOpen);
    });
}

#[test]
fn a_straggler_of_before_the_trip_does_not_count_after_recovery() {
    check(&rules(), |machine| {
        let straggler = machine.acquire(0);
        let other = Arc::clone(&machine);
        let thread = thread::spawn(move || {
            if let Ok(straggler) = straggler {
                other.record(straggler, Outcome::Failure, 0, 1_000);
            }
        });
        half_open_at(&machine, 1_000);
        call(&machine, Outcome::Success, 1_000);
        thread.join().ok();

        let snapshot = machine.snapshot(1_000);
        assert_eq!((snapshot.state, snapshot.calls, snapshot.run), (State::Closed, 0, 0));
        call(&machine, Outcome::Failure, 1_000);
        assert_eq!(machine.state(), State::Closed, "one failure alone is no run");
        call(&machine, Outcome::Failure, 1_000);
        assert_eq!(machine.state(), State::Open, "and two are");
    });
}

#[test]
fn one_probe_is_leased_to_one_of_two() {
    check(&rules(), |machine| {
        half_open_at(&machine, 1_000);
        let other = Arc::clone(&machine);
        let thread = thread::spawn(move || other.acquire(1_000).is_ok());
        let mine = machine.acquire(1_000).is_ok();
        let theirs = thread.join().is_ok_and(|it| it);

        assert!(mine != theirs, "{mine} {theirs}");
        assert_eq!(machine.snapshot(1_000).generation, 2);
    });
}

#[test]
fn a_probe_given_back_while_another_asks_is_never_lost() {
    check(&rules(), |machine| {
        half_open_at(&machine, 1_000);
        let Ok(probe) = machine.acquire(1_000) else { panic!("no probe") };
        let other = Arc::clone(&machine);
        let thread = thread::spawn(move || other.record(probe, Outcome::Ignored, 0, 1_000));
        let mine = machine.acquire(1_000);
        thread.join().ok();

        assert!(mine.is_ok() || machine.acquire(1_000).is_ok());
    });
}

#[test]
fn a_forced_state_is_not_undone_by_a_failure_at_the_same_time() {
    check(&rules(), |machine| {
        call(&machine, Outcome::Failure, 0);
        let other = Arc::clone(&machine);
        let thread = thread::spawn(move || call(&other, Outcome::Failure, 0));
        machine.force(Some(Forced::Closed), 0);
        thread.join().ok();

        assert_eq!(machine.state(), State::ForcedClosed);
    });
}
