//! Calls allocate nothing; alone in its process, since the allocator counts for all threads.
#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use breaker::{Breaker, Config, Outcome, Reason};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The least of a few attempts, since the test runner's own thread may allocate as well.
fn allocations(mut calls: impl FnMut()) -> usize {
    let attempt = |_| {
        let region = Region::new(ALLOCATOR);
        (0..1_000).for_each(|_| calls());
        region.change().allocations
    };
    (0..5).map(attempt).min().unwrap()
}

#[test]
fn neither_a_permitted_nor_a_refused_call_allocates() {
    let breaker = Breaker::new(&Config::default()).unwrap();

    assert_eq!(allocations(|| breaker.try_acquire().unwrap().record(Outcome::Success)), 0);
    assert_eq!(allocations(|| breaker.try_acquire_owned().unwrap().record(Outcome::Success)), 0);
    assert_eq!(allocations(|| drop(breaker.try_acquire().unwrap())), 0);
    breaker.trip(Reason::Caller);
    assert_eq!(allocations(|| assert!(breaker.try_acquire().is_err())), 0);
}
