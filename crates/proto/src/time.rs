//! Timestamps of the contract: microseconds since 1970 inside, `google.protobuf.Timestamp` on the wire.

use crate::violation::Violation;
use prost_types::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

const MICROS_PER_SECOND: i64 = 1_000_000;
/// 0001-01-01 and 10000-01-01, the limits that `google.protobuf.Timestamp` documents, in seconds.
const SECONDS: std::ops::Range<i64> = -62_135_596_800..253_402_300_800;

/// A point in time, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

impl Instant {
    /// The clock of this machine.
    #[must_use]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Instant(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    /// A point in time given in milliseconds since 1970.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Instant(millis.saturating_mul(1000))
    }

    /// Reads a field that may be unset.
    ///
    /// # Errors
    /// When it is not within the years 1 to 9999.
    pub fn parse(field: &str, timestamp: Option<&Timestamp>) -> Result<Option<Self>, Violation> {
        let Some(timestamp) = timestamp else { return Ok(None) };
        if !SECONDS.contains(&timestamp.seconds) || !(0..1_000_000_000).contains(&timestamp.nanos) {
            return Err(Violation::new(field, "must be a time in the years 1 to 9999, such as 2026-01-31T18:30:00Z"));
        }
        Ok(Some(Instant(timestamp.seconds * MICROS_PER_SECOND + i64::from(timestamp.nanos / 1000))))
    }

    /// The later point in time, saturating.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        Instant(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The earlier point in time, saturating.
    #[must_use]
    pub fn minus(self, duration: std::time::Duration) -> Self {
        Instant(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero when it was not.
    #[must_use]
    pub fn since(self, earlier: Instant) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<Instant> for Timestamp {
    fn from(Instant(micros): Instant) -> Self {
        let nanos = micros.rem_euclid(MICROS_PER_SECOND) * 1000;
        Timestamp {
            seconds: micros.div_euclid(MICROS_PER_SECOND),
            nanos: i32::try_from(nanos).expect("less than one second, so less than 10^9 nanos"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_the_wire_to_the_microsecond() {
        for micros in [0, 1, -1, 1_753_000_000_123_456] {
            let wire = Timestamp::from(Instant(micros));
            assert_eq!(Instant::parse("time", Some(&wire)), Ok(Some(Instant(micros))));
        }
    }

    #[test]
    fn a_time_beyond_the_year_9999_is_refused() {
        let wire = Timestamp { seconds: i64::MAX, nanos: 0 };
        assert_eq!(Instant::parse("validate_by", Some(&wire)).unwrap_err().field, "validate_by");
    }
}
