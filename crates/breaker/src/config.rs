//! When a breaker opens, for how long, and how it closes again.

use crate::Error;
use crate::machine::rules::{Rules, Slots};
use crate::machine::window::BUCKETS_MAX;
use serde::{Deserialize, Serialize};

/// The longest open time: the longest that an operator may be made to wait without being asked. A day.
const OPEN_MAX_MS: u64 = 86_400_000;
/// The shortest and the longest bucket: what a tag and a count of the window can hold.
const BUCKET_MS: std::ops::RangeInclusive<u64> = 100..=10_000;
/// Probes at most, since each is a line in a list: as many as could ever tell more than the first few.
const PROBES_MAX: u32 = 1_000;

/// Times are in milliseconds; the clock of a process is 10 ms coarse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Failures one after the other that open; 0: any number may. 5: a peer that is there does not fail five calls in a row by chance, and
    /// one that is gone is found out within five calls.
    pub consecutive_failures: u32,
    /// Share of the calls in the window that opens when it fails, up to 1; 0: off. 0.5: a peer that fails every second call costs more in
    /// retries than it serves.
    pub failure_ratio: f64,
    /// Share of the calls in the window that opens when it is slow, up to 1; 0: off. 0.8: slow answers are still answers, so only
    /// a peer that gives hardly any other is left alone.
    pub slow_ratio: f64,
    /// Calls that must be in the window before a share of them means anything. 20: with fewer, half of them is a handful.
    pub calls_min: u32,
    /// How far back the window reaches. 10,000: long enough for `calls_min` at two calls a second, short enough to forget a hiccup.
    pub window_ms: u64,
    /// Parts that the window moves on by, 1 to 16, of 100 ms to 10 s each. 10: what drops out at once is a tenth.
    pub buckets: u32,
    /// From when on an answer is slow; for a stream, its first message; 0: none is. 1,000: people notice.
    pub slow_ms: u64,
    /// How long it is open the first time. 1,000: a restart takes about as long.
    pub open_ms: u64,
    /// How long it is open at most, up to a day; the time doubles until then. 60,000: a peer that comes back is found within a minute.
    pub open_max_ms: u64,
    /// Share of the open time that is left to chance, 0 to 1, taken off its end. 0.5 ("equal jitter"): those who were refused together do not come back
    /// together, and none comes back at once.
    pub jitter: f64,
    /// Probes that may be out at once while half-open. 1: one call tells whether a peer is there, and costs one user at most.
    pub probes: u32,
    /// Probes that must do well before it closes. 2: a single one may have been the one good answer of a half-dead peer.
    pub probes_ok: u32,
    /// How long a probe may take before its place is given to the next and its outcome counts no more. 5,000: longer than a healthy call,
    /// and so the longest time that a hung probe can keep a recovered peer away.
    pub probe_lease_ms: u64,
    /// Counts and changes its state, but refuses nothing unless an operator forces it open. False: for trying settings out.
    pub metrics_only: bool,
    /// How long the weight climbs to 1 after recovery; 0: it is there at once. 10,000: a cold cache is warm by then.
    pub ramp_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            consecutive_failures: 5,
            failure_ratio: 0.5,
            slow_ratio: 0.8,
            calls_min: 20,
            window_ms: 10_000,
            buckets: 10,
            slow_ms: 1_000,
            open_ms: 1_000,
            open_max_ms: 60_000,
            jitter: 0.5,
            probes: 1,
            probes_ok: 2,
            probe_lease_ms: 5_000,
            metrics_only: false,
            ramp_ms: 10_000,
        }
    }
}

impl Config {
    /// Looks whether a breaker can be made of it.
    ///
    /// # Errors
    /// The first setting that is out of range, and the range.
    pub fn validate(&self) -> Result<(), Error> {
        let share = |it: f64| (0.0..=1.0).contains(&it);
        let checks = [
            (share(self.failure_ratio), "failure_ratio", "0 to 1"),
            (share(self.slow_ratio), "slow_ratio", "0 to 1"),
            (self.calls_min >= 1, "calls_min", "at least 1"),
            ((1..=BUCKETS_MAX).contains(&u64::from(self.buckets)), "buckets", "1 to 16"),
            (BUCKET_MS.contains(&self.bucket_ms()), "window_ms", "100 to 10,000 for each bucket"),
            ((1..=OPEN_MAX_MS).contains(&self.open_ms), "open_ms", "1 to 86,400,000"),
            ((self.open_ms..=OPEN_MAX_MS).contains(&self.open_max_ms), "open_max_ms", "open_ms to 86,400,000"),
            (share(self.jitter), "jitter", "0 to 1"),
            ((1..=PROBES_MAX).contains(&self.probes), "probes", "1 to 1,000"),
            ((1..=PROBES_MAX).contains(&self.probes_ok), "probes_ok", "1 to 1,000"),
            ((1..=OPEN_MAX_MS).contains(&self.probe_lease_ms), "probe_lease_ms", "1 to 86,400,000"),
            ((0..=OPEN_MAX_MS).contains(&self.ramp_ms), "ramp_ms", "0 to 86,400,000"),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, range)) => Err(Error::OutOfRange { setting, range }),
            None => Ok(()),
        }
    }

    pub(crate) fn rules(&self) -> Result<Rules, Error> {
        self.validate()?;
        Ok(Rules {
            consecutive_failures: u64::from(self.consecutive_failures),
            failure_ratio: self.failure_ratio,
            slow_ratio: self.slow_ratio,
            calls_min: u64::from(self.calls_min),
            buckets: u64::from(self.buckets),
            slots: Slots::new(self.bucket_ms()),
            slow_ms: if self.slow_ms == 0 { u64::MAX } else { self.slow_ms },
            open_ms: self.open_ms,
            open_max_ms: self.open_max_ms,
            jitter: self.jitter,
            probes: self.probes,
            probes_ok: self.probes_ok,
            probe_lease_ms: self.probe_lease_ms,
            metrics_only: self.metrics_only,
            ramp_ms: self.ramp_ms,
        })
    }

    fn bucket_ms(&self) -> u64 {
        self.window_ms.checked_div(u64::from(self.buckets)).unwrap_or(0)
    }
}
