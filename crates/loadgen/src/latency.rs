//! Durations of one kind, and the percentiles that are told of them.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// The longest duration that is told apart: an hour; a longer one counts as that.
const MICROS_MAX: u64 = 3_600_000_000;
/// Digits that are kept: 0.1 % of the value, in 200 KiB.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Durations, kept in microseconds with three digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Latencies(
            Histogram::new_with_bounds(1, MICROS_MAX, SIGNIFICANT_DIGITS).expect("the bounds are constants in order"),
        )
    }

    /// Adds one.
    pub fn record(&mut self, duration: Duration) {
        self.0.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(MICROS_MAX));
    }

    /// What is told of them.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| millis(self.0.value_at_quantile(quantile));
        Percentiles {
            count: self.0.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: millis(self.0.max()),
        }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies::new()
    }
}

#[expect(clippy::cast_precision_loss, reason = "an hour in microseconds has 32 bits, a double keeps 53")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// Percentiles in milliseconds; all zero when nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half took at most this.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 99 of a hundred.
    pub p99_ms: f64,
    /// All of them.
    pub max_ms: f64,
}

impl fmt::Display for Percentiles {
    /// As in `p50 1.2 ms, p90 2.4 ms, p99 8.0 ms, max 31.7 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("not measured");
        }
        let Percentiles { p50_ms, p90_ms, p99_ms, max_ms, .. } = self;
        write!(f, "p50 {p50_ms:.1} ms, p90 {p90_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_told_in_milliseconds() {
        let mut latencies = Latencies::new();
        (1..=100).for_each(|millis| latencies.record(Duration::from_millis(millis)));

        assert_eq!(latencies.percentiles().to_string(), "p50 50.0 ms, p90 90.0 ms, p99 99.0 ms, max 100.0 ms");
    }

    #[test]
    fn nothing_measured_is_said_so() {
        assert_eq!(Latencies::new().percentiles().to_string(), "not measured");
    }

    #[test]
    fn a_duration_beyond_an_hour_counts_as_an_hour() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_secs(100_000));

        assert!((latencies.percentiles().max_ms - 3_600_000.0).abs() < 3_600.0);
    }
}
