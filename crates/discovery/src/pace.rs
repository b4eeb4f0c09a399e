//! How fast something is done again: pauses after faults, and a bound on how often answers are asked for.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use tokio::time::Instant;

/// A number from 0 to below 1, for jitter; the keys of hash maps are random, and no two the same.
pub(crate) fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(u32::MAX)
}

/// Pauses that double from `min` to `max`, each between half of itself and the whole, so that clients do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Backoff { min, max, next: min }
    }

    /// The next pause; `random` is from 0 to 1.
    pub(crate) fn pause(&mut self, random: f64) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.max);
        pause.mul_f64(0.5 + random / 2.0)
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

/// A token bucket: a burst passes at once, and then one in each `every`.
#[derive(Debug)]
pub(crate) struct Pace {
    burst: u32,
    every: Duration,
    /// When the bucket would be full.
    full_at: Instant,
}

impl Pace {
    pub(crate) fn new(burst: u32, every: Duration, now: Instant) -> Self {
        Pace { burst, every, full_at: now }
    }

    /// Takes a token; says how long to wait for it.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + self.every;
        self.full_at.saturating_duration_since(now).saturating_sub(self.every * self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::new(100 * MS, 1_000 * MS);

        let pauses: Vec<u128> = (0..6).map(|_| backoff.pause(1.0).as_millis()).collect();
        backoff.reset();

        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff.pause(0.0), 50 * MS);
    }

    #[tokio::test]
    async fn a_burst_passes_and_the_rest_is_spread() {
        let now = Instant::now();
        let mut pace = Pace::new(2, 100 * MS, now);

        let pauses: Vec<u128> = (0..4).map(|_| pace.take(now).as_millis()).collect();

        assert_eq!(pauses, [0, 0, 100, 200]);
        assert_eq!(pace.take(now + 10_000 * MS), Duration::ZERO);
    }

    #[test]
    fn jitter_differs_each_time_and_stays_below_the_whole() {
        let some: Vec<f64> = (0..100).map(|_| random()).collect();

        assert!(some.iter().all(|it| (0.0..=1.0).contains(it)));
        assert!(some.iter().any(|it| *it < 0.5) && some.iter().any(|it| *it > 0.5));
    }
}
