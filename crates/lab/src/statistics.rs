//! What can be said of an availability that was measured in blocks; pure.
//!
//! Requests of one outage fail together, so ten thousand of them say less than ten thousand coins. The blocks of a run are independent (see
//! `schedule`), so the interval is that of the mean of their shares, by Student's t. Where hardly anything failed the blocks hardly differ,
//! which would say more than is known; so the interval is never narrower than that of independent requests (Wilson 1927).

use std::time::Duration;

/// The 97.5 % quantile of the normal distribution: two-sided 95 %.
const Z: f64 = 1.959_964;

/// What was asked in one block, and how much of it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u32,
    pub(crate) succeeded: u32,
}

impl Tally {
    pub(crate) fn share(self) -> f64 {
        if self.requests == 0 { 0.0 } else { f64::from(self.succeeded) / f64::from(self.requests) }
    }

    /// All blocks together.
    pub(crate) fn sum(blocks: &[Tally]) -> Self {
        blocks.iter().fold(Tally::default(), |sum, block| Tally {
            requests: sum.requests + block.requests,
            succeeded: sum.succeeded + block.succeeded,
        })
    }
}

/// Where the availability is, with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The interval around the share of all blocks together.
pub(crate) fn interval(blocks: &[Tally]) -> Interval {
    let sum = Tally::sum(blocks);
    let requests = wilson(sum);
    let means = student(&blocks.iter().map(|block| block.share()).collect::<Vec<f64>>());
    Interval { low: requests.low.min(means.low).max(0.0), high: requests.high.max(means.high).min(1.0) }
}

/// The interval of a share of independent requests.
fn wilson(sum: Tally) -> Interval {
    let (count, share) = (f64::from(sum.requests.max(1)), sum.share());
    let weight = 1.0 + Z * Z / count;
    let centre = (share + Z * Z / (2.0 * count)) / weight;
    let margin = Z / weight * (share * (1.0 - share) / count + Z * Z / (4.0 * count * count)).sqrt();
    Interval { low: centre - margin, high: centre + margin }
}

/// The interval of the mean of independent values; everything, when there are less than two.
fn student(values: &[f64]) -> Interval {
    let Some(freedom) = u32::try_from(values.len()).ok().and_then(|count| count.checked_sub(1)).filter(|it| *it > 0)
    else {
        return Interval { low: 0.0, high: 1.0 };
    };
    let count = f64::from(freedom) + 1.0;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / f64::from(freedom);
    let margin = quantile(f64::from(freedom)) * (variance / count).sqrt();
    Interval { low: mean - margin, high: mean + margin }
}

/// The 97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5): within 1 % from two degrees of freedom on, and 10 % too low for one.
fn quantile(freedom: f64) -> f64 {
    let terms = [
        (Z.powi(3) + Z) / 4.0,
        (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0,
        (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0,
        (79.0 * Z.powi(9) + 776.0 * Z.powi(7) + 1_482.0 * Z.powi(5) - 1_920.0 * Z.powi(3) - 945.0 * Z) / 92_160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / freedom) + Z
}

/// The time within which a share of these were done; zero when there are none. The least value that is not below so many of them.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(succeeded: &[u32]) -> Vec<Tally> {
        succeeded.iter().map(|succeeded| Tally { requests: 1_000, succeeded: *succeeded }).collect()
    }

    #[track_caller]
    fn check(interval: Interval, low: f64, high: f64) {
        let is_near = (interval.low - low).abs() < 0.000_5 && (interval.high - high).abs() < 0.000_5;
        assert!(is_near, "{interval:?} is not {low} to {high}");
    }

    #[test]
    fn blocks_that_differ_make_the_interval_wide() {
        // Mean 0.8, standard deviation 0.1, t of 3 degrees 3.182.
        check(interval(&blocks(&[700, 900, 700, 900])), 0.8 - 0.1837, 0.8 + 0.1837);
    }

    #[test]
    fn blocks_that_are_alike_say_no_more_than_independent_requests() {
        check(interval(&blocks(&[810; 10])), 0.8022, 0.8176);
    }

    #[test]
    fn ten_thousand_successes_leave_room_for_four_failures() {
        let found = interval(&blocks(&[1_000; 10]));

        check(found, 0.9996, 1.0);
        assert!(found.low < 1.0);
    }

    #[test]
    fn one_block_says_nothing_of_others() {
        check(interval(&blocks(&[900])), 0.0, 1.0);
    }

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (freedom, expected) in [(3.0, 3.182), (9.0, 2.262), (30.0, 2.042)] {
            assert!((quantile(freedom) - expected).abs() < 0.005, "{freedom}: {}", quantile(freedom));
        }
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();

        assert_eq!(percentile(&values, 50), Duration::from_millis(100));
        assert_eq!(percentile(&values, 99), Duration::from_millis(198));
        assert_eq!(percentile(&values[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
