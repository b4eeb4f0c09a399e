//! A configuration as the machine wants it: checked, and in the form that costs least to apply.

/// What makes a breaker open, and for how long. [`crate::Config`] says what each is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rules {
    /// 0: off.
    pub(crate) consecutive_failures: u64,
    /// 0: off.
    pub(crate) failure_ratio: f64,
    /// 0: off.
    pub(crate) slow_ratio: f64,
    pub(crate) calls_min: u64,
    pub(crate) buckets: u64,
    pub(crate) slots: Slots,
    /// `u64::MAX`: off.
    pub(crate) slow_ms: u64,
    pub(crate) open_ms: u64,
    pub(crate) open_max_ms: u64,
    pub(crate) jitter: f64,
    pub(crate) probes: u32,
    pub(crate) probes_ok: u32,
    pub(crate) probe_lease_ms: u64,
    pub(crate) metrics_only: bool,
    pub(crate) ramp_ms: u64,
}

impl Rules {
    pub(crate) fn window_ms(&self) -> u64 {
        self.slots.length_ms * self.buckets
    }
}

/// The time slots of a window's buckets; divides by multiplication, since a division costs as much as all the rest of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slots {
    length_ms: u64,
    inverse: u64,
}

impl Slots {
    /// Slots of a length of at least 2 ms.
    pub(crate) fn new(length_ms: u64) -> Self {
        Slots { length_ms, inverse: u64::MAX / length_ms + 1 }
    }

    /// The slot that a time lies in. Exact below 2^64 / length, which is 58,000 years of the longest.
    #[inline]
    pub(crate) fn of(&self, now_ms: u64) -> u64 {
        ((u128::from(now_ms) * u128::from(self.inverse)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::proptest;

    proptest! {
        #[test]
        fn a_slot_is_the_time_divided_by_the_length(length_ms in 2_u64..=10_000, now_ms in 0_u64..1 << 48) {
            assert_eq!(Slots::new(length_ms).of(now_ms), now_ms / length_ms);
        }
    }
}
