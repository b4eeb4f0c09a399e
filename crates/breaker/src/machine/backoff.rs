//! How long a breaker stays open: twice as long each time, and less again with every healthy window.

use super::rules::Rules;

/// Which time it is, and dice.
#[derive(Debug)]
pub(crate) struct Backoff {
    step: u32,
    /// State of a xorshift generator; never 0.
    dice: u64,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Backoff { step: 0, dice: seed | 1 }
    }

    /// The next open time after `healthy_ms` without a trip, in milliseconds: base * 2^step, of which `jitter` is left to chance.
    pub(crate) fn next_ms(&mut self, healthy_ms: u64, rules: &Rules) -> u64 {
        let healthy = healthy_ms / rules.window_ms();
        self.step = self.step.saturating_sub(u32::try_from(healthy).unwrap_or(u32::MAX));
        let whole =
            rules.open_ms.saturating_mul(1_u64.checked_shl(self.step).unwrap_or(u64::MAX)).min(rules.open_max_ms);
        // A step that makes no difference would only be one more to come down.
        if whole < rules.open_max_ms {
            self.step += 1;
        }
        let chance = whole as f64 * rules.jitter * self.throw();
        whole - (chance as u64).min(whole - 1)
    }

    /// The steps that a breaker stands at.
    pub(crate) fn step(&self) -> u32 {
        self.step
    }

    /// 0 to 1 (Marsaglia, "Xorshift RNGs", 2003).
    fn throw(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) as f64 / (1_u64 << 53) as f64
    }
}
