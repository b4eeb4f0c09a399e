//! What a permitted and a refused call cost, beside a floor and other breakers in the same run; writes `target/bench/breaker.json`.
//!
//! `cargo bench -p breaker -- --quick` does with three runs. Processor time of the thread; two threads share
//! one breaker, and a round of theirs counts if both had a processor for nine tenths of it, as long as its slower thread took.

mod report;
mod subjects;

use report::{Metric, OURS, Report, spread};
use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::error::Error;
use std::sync::Barrier;
use std::time::Instant;
use subjects::{Case, SUBJECTS, Subject};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TIME: Metric = Metric { name: "ns_per_call", unit: "ns" };
const ALLOCATIONS: Metric = Metric { name: "allocations_per_call", unit: "" };

/// Runs, each the median of its rounds; an odd number, so that the median is one of them.
const RUNS: usize = 7;
const RUNS_QUICK: usize = 3;
/// Rounds of a run.
const ROUNDS: usize = 50;
/// How long a round takes about: shorter than a turn of the scheduler, so that most rounds are undisturbed.
const ROUND_NS: f64 = 5_000_000.0;
/// Calls that are made to find out how many a round has.
const CALLS_FIRST: u64 = 20_000;

type Fault = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Fault> {
    let runs = if std::env::args().any(|it| it == "--quick") { RUNS_QUICK } else { RUNS };
    let mut report = Report::new("breaker");
    for _ in 0..runs {
        for case in [Case::Permitted, Case::Rejected] {
            for make in SUBJECTS {
                let subject = make(case)?;
                let name = subject.name();
                report.note(case.name(1), TIME, name, measure(&*subject, 1)?);
                report.note(case.name(2), TIME, name, measure(&*subject, 2)?);
                report.note(case.name(1), ALLOCATIONS, name, allocations(&*subject)?);
            }
        }
    }
    report.publish()
}

/// Nanoseconds per call, of the slower thread: the median of the rounds that were undisturbed.
fn measure(subject: &dyn Subject, threads: usize) -> Result<f64, Fault> {
    subject.calls(CALLS_FIRST)?;
    let started = Instant::now();
    subject.calls(CALLS_FIRST)?;
    let first = started.elapsed().as_nanos() as f64 / CALLS_FIRST as f64;
    let calls = (ROUND_NS / first).ceil().max(1.0) as u64;
    let barrier = Barrier::new(threads);
    let by_thread: Vec<Vec<Round>> = std::thread::scope(|scope| {
        let begin = |_| scope.spawn(|| rounds(subject, calls, &barrier).map_err(|it| it.to_string()));
        let begun: Vec<_> = (0..threads).map(begin).collect();
        begun
            .into_iter()
            .map(|it| it.join().map_err(|_| "a thread panicked".to_owned()).flatten())
            .collect::<Result<_, _>>()
    })?;
    let slowest = |round: usize| {
        let of_threads = by_thread.iter().filter_map(|it| it.get(round));
        of_threads.fold(Round { ns: 0.0, is_undisturbed: true }, |slowest, it| Round {
            ns: slowest.ns.max(it.ns),
            is_undisturbed: slowest.is_undisturbed && it.is_undisturbed,
        })
    };
    let all: Vec<Round> = (0..ROUNDS).map(slowest).collect();
    let mut kept: Vec<f64> = all.iter().filter(|it| it.is_undisturbed).map(|it| it.ns).collect();
    if kept.is_empty() {
        eprintln!("{}: no round in which it used its processors all the time", subject.name());
        kept = all.iter().map(|it| it.ns).collect();
    }
    Ok(spread(&kept).0)
}

/// One round of one thread.
struct Round {
    /// Processor time per call.
    ns: f64,
    /// Whether the thread had a processor nearly all the time; else two threads did not meet.
    is_undisturbed: bool,
}

fn rounds(subject: &dyn Subject, calls: u64, barrier: &Barrier) -> Result<Vec<Round>, Fault> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        barrier.wait();
        let (started, used) = (Instant::now(), processor_ns());
        subject.calls(calls)?;
        let (used, wall) = (processor_ns() - used, started.elapsed().as_nanos() as f64);
        rounds.push(Round { ns: used / calls as f64, is_undisturbed: used > 0.9 * wall });
    }
    Ok(rounds)
}

fn processor_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Of this thread alone; what a subject allocates once per thousand calls shows as 0.001.
fn allocations(subject: &dyn Subject) -> Result<f64, Fault> {
    subject.calls(CALLS_FIRST)?;
    let region = Region::new(ALLOCATOR);
    subject.calls(CALLS_FIRST)?;
    let counted = region.change().allocations as f64 / CALLS_FIRST as f64;
    Ok((counted * 1_000.0).round() / 1_000.0)
}
