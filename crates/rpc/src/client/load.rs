//! How busy an endpoint is: what a call may take there, times the calls that are there already.
//!
//! The estimate is a peak-sensitive moving average, as in Finagle's "Peak EWMA": a slow answer counts at once, and is forgotten over ten
//! seconds. A failure adds a penalty, however fast it came: an endpoint that fails in a fifth of a millisecond would draw most of the calls
//! otherwise (58 % with tower's `PeakEwma` and three endpoints). A single failure is forgotten within seconds, a run of them is not.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// An observation has lost two thirds of its weight after this time.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// What an answer of an endpoint may take of which nothing is known: so little that it is tried soon, and so much that not everybody does.
const UNKNOWN: Duration = Duration::from_millis(1);
/// What a failure adds, at least; each further one doubles what is left of those before.
const PENALTY: Duration = Duration::from_millis(100);
/// What failures add at most.
const PENALTY_MAX: Duration = Duration::from_secs(10);
/// A penalty has lost two thirds of its weight after this time.
const FORGIVEN_AFTER: Duration = Duration::from_secs(2);

/// The load of one endpoint. What racing updates lose is lost to noise.
#[derive(Debug)]
pub(crate) struct Load {
    begun: Instant,
    usual: Sample,
    penalty: Sample,
    in_flight: AtomicUsize,
}

/// A number of microseconds, and when it was noted.
#[derive(Debug)]
struct Sample {
    /// The bits of an `f64`.
    micros: AtomicU64,
    /// Microseconds since the load is known.
    at: AtomicU64,
}

impl Load {
    pub(crate) fn new(now: Instant) -> Self {
        let (usual, penalty) = (Sample::new(micros(UNKNOWN)), Sample::new(0.0));
        Load { begun: now, usual, penalty, in_flight: AtomicUsize::new(0) }
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Notes how long an answer took.
    pub(crate) fn answered(&self, took: Duration, now: Instant) {
        let (at, sample) = (self.since(now), micros(took));
        let current = self.usual(at);
        // After a short pause an observation has little weight, so that a burst of calls is not one opinion many times.
        let weight = (1.0 - self.usual.left(at, FORGOTTEN_AFTER)).max(0.01);
        self.usual.note(if sample > current { sample } else { current + (sample - current) * weight }, at);
    }

    /// Notes a failure, and the time for which the endpoint asked to be left alone.
    pub(crate) fn failed(&self, took: Duration, leave_alone: Option<Duration>, now: Instant) {
        let at = self.since(now);
        let least = PENALTY.max(took).max(leave_alone.unwrap_or_default());
        self.penalty.note((2.0 * self.penalty(at)).max(micros(least)).min(micros(PENALTY_MAX)), at);
    }

    /// What an answer takes, as far as is known.
    pub(crate) fn estimate(&self, now: Instant) -> Duration {
        Duration::from_micros(self.usual(self.since(now)) as u64)
    }

    /// What one more call costs; the endpoint with less is the better one.
    pub(crate) fn score(&self, now: Instant) -> f64 {
        let at = self.since(now);
        (self.usual(at) + self.penalty(at)) * (self.in_flight() as f64 + 1.0)
    }

    /// A slow answer is forgotten by silence; a fast one is not.
    fn usual(&self, at: u64) -> f64 {
        let (usual, unknown) = (self.usual.micros(), micros(UNKNOWN));
        if usual <= unknown { usual } else { unknown + (usual - unknown) * self.usual.left(at, FORGOTTEN_AFTER) }
    }

    fn penalty(&self, at: u64) -> f64 {
        let penalty = self.penalty.micros();
        if penalty == 0.0 { 0.0 } else { penalty * self.penalty.left(at, FORGIVEN_AFTER) }
    }

    fn since(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.begun).as_micros()).unwrap_or(u64::MAX)
    }
}

impl Sample {
    fn new(micros: f64) -> Self {
        Sample { micros: AtomicU64::new(micros.to_bits()), at: AtomicU64::new(0) }
    }

    fn note(&self, micros: f64, at: u64) {
        self.at.store(at, Ordering::Relaxed);
        self.micros.store(micros.to_bits(), Ordering::Relaxed);
    }

    fn micros(&self) -> f64 {
        f64::from_bits(self.micros.load(Ordering::Relaxed))
    }

    /// How much of it is left, 0 to 1, when two thirds are gone after `period`.
    fn left(&self, at: u64, period: Duration) -> f64 {
        let silence = at.saturating_sub(self.at.load(Ordering::Relaxed));
        (-(silence as f64) / micros(period)).exp()
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_is_forgotten() {
        let begun = Instant::now();
        let load = Load::new(begun);

        load.answered(ms(200), begun);
        assert_eq!(load.estimate(begun), ms(200));

        assert!(load.estimate(begun + FORGOTTEN_AFTER) < ms(80));
        assert!(load.estimate(begun + 10 * FORGOTTEN_AFTER) < ms(2));
    }

    #[test]
    fn a_fast_failure_is_no_fast_answer() {
        let begun = Instant::now();
        let (failing, working) = (Load::new(begun), Load::new(begun));

        failing.failed(Duration::from_micros(200), None, begun);
        working.answered(ms(5), begun);

        assert!(failing.score(begun) > 10.0 * working.score(begun));
    }

    #[test]
    fn one_failure_is_forgiven_within_seconds_and_a_run_is_not() {
        let begun = Instant::now();
        let (once, often, working) = (Load::new(begun), Load::new(begun), Load::new(begun));
        let later = begun + ms(8_000);

        working.answered(ms(5), begun);
        once.failed(ms(0), None, begun);
        (0..7).for_each(|_| often.failed(ms(0), None, begun));

        assert!(once.score(later) < 2.0 * working.score(later));
        assert!(often.score(later) > 10.0 * working.score(later));
    }

    #[test]
    fn what_asks_to_be_left_alone_is_left_alone() {
        let begun = Instant::now();
        let load = Load::new(begun);

        load.failed(ms(1), Some(Duration::from_secs(5)), begun);

        assert!(load.score(begun) >= 5e6);
    }

    #[test]
    fn calls_that_are_there_already_count() {
        let begun = Instant::now();
        let load = Load::new(begun);
        let idle = load.score(begun);

        load.begin();
        assert!((load.score(begun) - 2.0 * idle).abs() < 1e-9);

        load.end();
        assert!((load.score(begun) - idle).abs() < 1e-9);
    }
}
