//! What a permitted and a refused call cost, beside a floor and other breakers in the same run; writes `target/bench/breaker.json`.
//!
//! `cargo bench -p breaker -- --quick` does with three runs. Processor time of the thread; two threads share
//! one breaker, and a round of theirs counts if both had a processor at the same time for nine tenths of it, as long as the slower one took.

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
    let all: Vec<Round> = (0..ROUNDS).map(|round| together(by_thread.iter().filter_map(|it| it.get(round)))).collect();
    let mut kept: Vec<f64> = all.iter().filter(|it| it.is_undisturbed).map(|it| it.ns).collect();
    if kept.is_empty() {
        eprintln!("{}: no round in which it used its processors all the time", subject.name());
        kept = all.iter().map(|it| it.ns).collect();
    }
    Ok(spread(&kept).0)
}

/// One round of one thread, or of all.
#[derive(Clone, Copy)]
struct Round {
    /// Processor time per call.
    ns: f64,
    begin: Instant,
    wall_ns: f64,
    /// Whether the thread had a processor nearly all the time, and the threads had theirs at the same time.
    is_undisturbed: bool,
}

/// The round of all threads from the round of each.
fn together<'a>(threads: impl Iterator<Item = &'a Round>) -> Round {
    let joined = threads.copied().reduce(|a, b| {
        let apart = a.begin.max(b.begin).duration_since(a.begin.min(b.begin)).as_nanos() as f64;
        let is_undisturbed = a.is_undisturbed && b.is_undisturbed && apart < 0.1 * a.wall_ns.min(b.wall_ns);
        Round { ns: a.ns.max(b.ns), is_undisturbed, ..a }
    });
    joined.unwrap_or(Round { ns: 0.0, begin: Instant::now(), wall_ns: 0.0, is_undisturbed: false })
}

fn rounds(subject: &dyn Subject, calls: u64, barrier: &Barrier) -> Result<Vec<Round>, Fault> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        barrier.wait();
        let (begin, used) = (Instant::now(), processor_ns());
        subject.calls(calls)?;
        let (used, wall_ns) = (processor_ns() - used, begin.elapsed().as_nanos() as f64);
        rounds.push(Round { ns: used / calls as f64, begin, wall_ns, is_undisturbed: used > 0.9 * wall_ns });
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
