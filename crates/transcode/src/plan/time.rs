//! The texts of `google.protobuf.Timestamp` and `Duration` (protobuf.dev, "ProtoJSON Format").
//!
//! Read are only times in UTC and in their usual form; others are the reference's.

use std::io::Write;

const NANOS_PER_SECOND: u32 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// The beginning of the year 1 and the end of the year 9999.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// 10,000 years.
const DURATION_SECONDS_MAX: i64 = 315_576_000_000;

/// Seconds and nanoseconds of `2026-05-17T18:30:00.5Z`.
pub(crate) fn timestamp(text: &str) -> Option<(i64, i32)> {
    let bytes = text.as_bytes();
    let (at, rest) = bytes.split_at_checked(19)?;
    let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if signs.iter().any(|(place, sign)| at[*place] != *sign) {
        return None;
    }
    let (year, month, day) = (digits(&at[..4])?, digits(&at[5..7])?, digits(&at[8..10])?);
    let (hour, minute, second) = (digits(&at[11..13])?, digits(&at[14..16])?, digits(&at[17..])?);
    let is_date = year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= days_of_month(year, month);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = fraction(rest.strip_suffix(b"Z")?)?;
    let seconds = days(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some((seconds, nanos))
}

/// Seconds and nanoseconds of `-1.5s`; both have its sign.
pub(crate) fn duration(text: &str) -> Option<(i64, i32)> {
    let amount = text.strip_suffix('s')?;
    let (sign, amount) = amount.strip_prefix('-').map_or((1, amount), |amount| (-1, amount));
    let end = amount.find('.').unwrap_or(amount.len());
    let (seconds, rest) = amount.as_bytes().split_at(end);
    if seconds.len() > 12 {
        return None;
    }
    let (seconds, nanos) = (digits(seconds)?, fraction(rest)?);
    let is_in_range = seconds < DURATION_SECONDS_MAX || (seconds == DURATION_SECONDS_MAX && nanos == 0);
    is_in_range.then_some((seconds * i64::from(sign), nanos * sign))
}

/// Nothing, or a point and one to nine digits.
fn fraction(text: &[u8]) -> Option<i32> {
    let Some((point, places)) = text.split_first() else { return Some(0) };
    if *point != b'.' || places.len() > 9 {
        return None;
    }
    let scale = 10_i64.pow(9 - u32::try_from(places.len()).ok()?);
    i32::try_from(digits(places)? * scale).ok()
}

fn digits(text: &[u8]) -> Option<i64> {
    let digit = |number: i64, byte: &u8| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'));
    if text.is_empty() { None } else { text.iter().try_fold(0, digit) }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The way back.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Writes a timestamp with its quotes; `None` when it is out of range.
pub(crate) fn put_timestamp(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> Option<()> {
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < NANOS_PER_SECOND)?;
    if !TIMESTAMP_SECONDS.contains(&seconds) {
        return None;
    }
    let (year, month, day) = date(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(out, "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").ok()?;
    put_fraction(out, nanos)?;
    out.extend(b"Z\"");
    Some(())
}

/// Writes a duration with its quotes; `None` when it is out of range, or its signs differ.
pub(crate) fn put_duration(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> Option<()> {
    let is_in_range =
        seconds.unsigned_abs() <= DURATION_SECONDS_MAX.cast_unsigned() && nanos.unsigned_abs() < NANOS_PER_SECOND;
    let is_one_sign = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    if !is_in_range || !is_one_sign {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    write!(out, "\"{sign}{}", seconds.unsigned_abs()).ok()?;
    put_fraction(out, nanos.unsigned_abs())?;
    out.extend(b"s\"");
    Some(())
}

/// Three, six or nine digits, or none.
fn put_fraction(out: &mut Vec<u8>, nanos: u32) -> Option<()> {
    match nanos {
        0 => Some(()),
        _ if nanos.is_multiple_of(1_000_000) => write!(out, ".{:03}", nanos / 1_000_000).ok(),
        _ if nanos.is_multiple_of(1000) => write!(out, ".{:06}", nanos / 1000).ok(),
        _ => write!(out, ".{nanos:09}").ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: fn(&mut Vec<u8>, i64, i32) -> Option<()>, (seconds, nanos): (i64, i32)) -> Option<String> {
        let mut out = Vec::new();
        put(&mut out, seconds, nanos)?;
        Some(String::from_utf8(out).unwrap().trim_matches('"').to_owned())
    }

    #[test]
    fn timestamps_go_both_ways() {
        for (given, parts) in [
            ("1970-01-01T00:00:00Z", (0, 0)),
            ("1969-12-31T23:59:59.999999999Z", (-1, 999_999_999)),
            ("2000-02-29T12:34:56.500Z", (951_827_696, 500_000_000)),
            ("0001-01-01T00:00:00Z", (-62_135_596_800, 0)),
            ("9999-12-31T23:59:59.000001Z", (253_402_300_799, 1000)),
        ] {
            assert_eq!(timestamp(given), Some(parts), "{given}");
            assert_eq!(text(put_timestamp, parts).as_deref(), Some(given));
        }
    }

    #[test]
    fn every_day_is_its_own() {
        for day in -719_162..=2_932_896 {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
            assert!((1..=12).contains(&month) && of_month >= 1 && of_month <= days_of_month(year, month));
        }
    }

    #[test]
    fn what_is_no_plain_time_is_not_read() {
        for text in [
            "",
            "2024-01-02",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00+01:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00.1234567890Z",
            "0000-01-01T00:00:00Z",
            "2024-01-01t00:00:00Z",
            "+024-01-01T00:00:00Z",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
        }
        for text in
            ["", "s", "1", ".5s", "1.s", "+1s", "1.1234567890s", "315576000001s", "315576000000.1s", "1 s", "--1s"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_go_both_ways() {
        for (given, parts) in [
            ("0s", (0, 0)),
            ("-0.500s", (0, -500_000_000)),
            ("315576000000s", (DURATION_SECONDS_MAX, 0)),
            ("1.000001s", (1, 1000)),
        ] {
            assert_eq!(duration(given), Some(parts), "{given}");
            assert_eq!(text(put_duration, parts).as_deref(), Some(given));
        }
        for parts in [(1, -1), (-1, 1), (DURATION_SECONDS_MAX + 1, 0), (0, 1_000_000_000)] {
            assert_eq!(text(put_duration, parts), None);
        }
    }
}
