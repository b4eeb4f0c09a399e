//! How often somebody may do something: the generic cell rate algorithm (ITU-T I.371), which is a leaky bucket in one number.
//!
//! Pure, and without a clock: `governor` brings clocks, stores and a random number generator along for these lines, and neither forgets the
//! keys that it has seen nor tells when a budget is whole again.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often: `burst` at once, and then one every `interval_ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) interval_ns: u64,
    pub(crate) burst: NonZeroU32,
}

/// What is left of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Calls that may be made at once.
    pub(crate) remaining: u32,
    /// When all of it is there again, in nanoseconds from now.
    pub(crate) reset_ns: u64,
}

/// A call too many, and when one may be made, in nanoseconds from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOften {
    pub(crate) wait_ns: u64,
    pub(crate) reset_ns: u64,
}

impl Pace {
    /// The time in which a whole budget comes back.
    pub(crate) fn window_ns(self) -> u64 {
        self.interval_ns.saturating_mul(u64::from(self.burst.get()))
    }

    /// Takes one from a budget at `now`. `full_at` is when it will be whole, and what it becomes.
    pub(crate) fn take(self, full_at: u64, now: u64) -> Result<(u64, Left), TooOften> {
        let window = self.window_ns();
        let full_at = full_at.max(now);
        let after = full_at.saturating_add(self.interval_ns);
        let debt = after - now;
        if debt > window {
            return Err(TooOften { wait_ns: debt - window, reset_ns: full_at - now });
        }
        let remaining = (window - debt).checked_div(self.interval_ns).unwrap_or(u64::from(self.burst.get()));
        Ok((after, Left { remaining: u32::try_from(remaining).unwrap_or(u32::MAX), reset_ns: debt }))
    }

    /// The same of a budget that others take from at the same time.
    pub(crate) fn take_from(self, budget: &AtomicU64, now: u64) -> Result<Left, TooOften> {
        let mut full_at = budget.load(Ordering::Relaxed);
        loop {
            let (after, left) = self.take(full_at, now)?;
            match budget.compare_exchange_weak(full_at, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(left),
                Err(other) => full_at = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn pace(per_second: u64, burst: u32) -> Pace {
        Pace { interval_ns: SECOND / per_second, burst: NonZeroU32::new(burst).unwrap() }
    }

    #[test]
    fn a_burst_passes_and_what_comes_after_waits_for_its_turn() {
        let (pace, budget) = (pace(10, 3), AtomicU64::new(0));

        let taken: Vec<u32> = (0..3).map(|_| pace.take_from(&budget, SECOND).unwrap().remaining).collect();

        assert_eq!(taken, [2, 1, 0]);
        let refused = pace.take_from(&budget, SECOND).unwrap_err();
        assert_eq!(refused, TooOften { wait_ns: SECOND / 10, reset_ns: 3 * SECOND / 10 });
        assert_eq!(pace.take_from(&budget, SECOND + refused.wait_ns).unwrap().remaining, 0);
    }

    #[test]
    fn a_refused_call_costs_nothing() {
        let (pace, budget) = (pace(1, 1), AtomicU64::new(0));
        assert!(pace.take_from(&budget, 0).is_ok());

        for _ in 0..100 {
            assert!(pace.take_from(&budget, 1).is_err());
        }

        assert!(pace.take_from(&budget, SECOND).is_ok());
    }

    proptest! {
        /// However calls come, no span of time has more of them than a burst and the rate allow; and a refusal tells the truth.
        #[test]
        fn no_span_has_more_than_a_burst_and_its_share(
            per_second in 1_u64..2_000, burst in 1_u32..50, gaps in prop::collection::vec(0_u64..50_000_000, 1..300),
        ) {
            let pace = pace(per_second, burst);
            let (mut now, mut full_at, mut passed) = (0, 0, Vec::new());
            for gap in gaps {
                now += gap;
                match pace.take(full_at, now) {
                    Ok((after, left)) => {
                        prop_assert!(left.remaining < burst);
                        full_at = after;
                        passed.push(now);
                    }
                    Err(refused) => {
                        prop_assert!(pace.take(full_at, now + refused.wait_ns).is_ok());
                        prop_assert!(refused.wait_ns == 0 || pace.take(full_at, now + refused.wait_ns - 1).is_err());
                    }
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let count = u64::try_from(last - first + 1).unwrap();
                    prop_assert!(count <= u64::from(burst) + (to - from) / pace.interval_ns + 1);
                }
            }
        }
    }
}
