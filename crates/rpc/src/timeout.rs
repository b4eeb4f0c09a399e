//! The `grpc-timeout` header: read strictly, and written so that every peer understands it.
//!
//! A value that is passed on unread can break a later call on the same connection (seen with grpcio 1.85), so nobody passes it on.

use crate::Error;
use http::{HeaderName, HeaderValue};
use std::time::Duration;

/// The name of the header.
pub const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// The largest number the header can hold: eight digits.
const VALUE_MAX: u128 = 99_999_999;

/// Each unit with its nanoseconds, finest first. From "gRPC over HTTP2", `TimeoutUnit`.
const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60 * 1_000_000_000),
    (b'H', 3600 * 1_000_000_000),
];

/// Reads a timeout.
///
/// # Errors
/// When it is not 1 to 8 digits followed by a unit.
pub fn parse(value: &HeaderValue) -> Result<Duration, Error> {
    let [digits @ .., unit] = value.as_bytes() else { return Err(Error::MalformedTimeout) };
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let unit = UNITS.iter().find(|(name, _)| name == unit).filter(|_| is_number);
    let (_, nanoseconds) = unit.ok_or(Error::MalformedTimeout)?;
    let count = digits.iter().fold(0_u128, |count, digit| count * 10 + u128::from(digit - b'0'));
    Ok(from_nanoseconds(count * nanoseconds))
}

/// Writes a timeout in the finest unit that can hold it, rounded up; what no unit can hold becomes the longest that one can.
#[must_use]
pub fn encode(timeout: Duration) -> HeaderValue {
    let nanoseconds = timeout.as_nanos();
    let (unit, count) = UNITS
        .iter()
        .map(|(unit, size)| (*unit, nanoseconds.div_ceil(*size)))
        .find(|(_, count)| *count <= VALUE_MAX)
        .unwrap_or((b'H', VALUE_MAX));
    HeaderValue::from_str(&format!("{count}{}", char::from(unit))).expect("digits and a letter are a header value")
}

fn from_nanoseconds(nanoseconds: u128) -> Duration {
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanoseconds % 1_000_000_000).unwrap_or(0);
    Duration::new(seconds, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &'static str, timeout: &Result<Duration, Error>) {
        assert_eq!(&parse(&HeaderValue::from_static(value)), timeout, "{value}");
    }

    #[test]
    fn every_unit_is_read() {
        check("1H", &Ok(Duration::from_secs(3600)));
        check("2M", &Ok(Duration::from_secs(120)));
        check("3S", &Ok(Duration::from_secs(3)));
        check("4m", &Ok(Duration::from_millis(4)));
        check("5u", &Ok(Duration::from_micros(5)));
        check("6n", &Ok(Duration::from_nanos(6)));
        check("99999999H", &Ok(Duration::from_secs(99_999_999 * 3600)));
    }

    #[test]
    fn nonsense_is_refused() {
        for value in ["", "S", "5", "5X", "-1S", "1.5S", "123456789S", " 1S", "1S "] {
            check(value, &Err(Error::MalformedTimeout));
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_never_shorter() {
        for timeout in [0, 1, 99_999_999, 100_000_000, 75_000_000_001, u64::MAX].map(Duration::from_nanos) {
            let read = parse(&encode(timeout)).unwrap();

            assert!(
                read >= timeout && read.as_secs_f64() <= timeout.as_secs_f64() * 1.001 + 1e-9,
                "{timeout:?}: {read:?}"
            );
        }
        assert_eq!(encode(Duration::MAX), "99999999H");
    }
}
