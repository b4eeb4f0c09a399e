//! The limits of a guarded server.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long calls may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Time for the answer to begin when the caller sets no limit, in milliseconds. 75,000: a call may ask to be held for 60 s
    /// (`Prefer: wait`), and the work around the wait is given 15 s.
    pub timeout_default_ms: u64,
    /// The longest timeout a caller can ask for, in milliseconds; more is cut to it. 600,000: a watched stream is begun anew every
    /// ten minutes at the latest, so that nothing outlives a deployment for long.
    pub timeout_max_ms: u64,
    /// Calls that may wait for their answers at once; the less important ones are turned away a little earlier. 4,096: as many held calls with
    /// their 64 KiB of body are 256 MiB.
    pub in_flight_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { timeout_default_ms: 75_000, timeout_max_ms: 600_000, in_flight_max: 4_096 }
    }
}

impl Config {
    pub(crate) fn timeout_default(self) -> Duration {
        Duration::from_millis(self.timeout_default_ms)
    }

    pub(crate) fn timeout_max(self) -> Duration {
        Duration::from_millis(self.timeout_max_ms)
    }
}
