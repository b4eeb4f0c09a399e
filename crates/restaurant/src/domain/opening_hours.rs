//! When orders are taken, by the clock on the restaurant's wall.
//!
//! An order is inside a span when the local clock shows a time inside it. So a clock that is put forward skips the hour that does not
//! exist, and one that is put back shows an hour twice, and the restaurant is open both times; there is no instant without an answer.

use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use proto::time::Instant;

/// Minutes of a day on the clock.
pub(crate) const MINUTES_PER_DAY: u16 = 24 * 60;
const MINUTES_PER_WEEK: i32 = 7 * MINUTES_PER_DAY as i32;

/// One span of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpeningHours {
    /// The day on which it opens.
    pub(crate) day: Weekday,
    /// Minutes after midnight, 0 to 1439.
    pub(crate) opens: u16,
    /// Minutes after midnight, 0 to 1440, exclusive; at or before `opens`: on the next day.
    pub(crate) closes: u16,
}

impl OpeningHours {
    /// Whether the clock shows a time inside the span.
    fn includes(self, at: DateTime) -> bool {
        let (day, minute) = (at.weekday(), minute_of_day(at));
        if self.opens < self.closes {
            return day == self.day && (self.opens..self.closes).contains(&minute);
        }
        (day == self.day && minute >= self.opens) || (day == self.day.next() && minute < self.closes)
    }

    /// Minutes on the clock until it opens next; a week when it opens this minute.
    fn opens_in(self, at: DateTime) -> i32 {
        let minutes = (week_minute(self.day, self.opens) - week_minute(at.weekday(), minute_of_day(at)))
            .rem_euclid(MINUTES_PER_WEEK);
        if minutes == 0 { MINUTES_PER_WEEK } else { minutes }
    }
}

/// What the clock in a time zone shows.
pub(crate) fn wall_clock(zone: &TimeZone, at: Instant) -> DateTime {
    let timestamp = Timestamp::from_microsecond(at.0).unwrap_or(match at.0 < 0 {
        true => Timestamp::MIN,
        false => Timestamp::MAX,
    });
    zone.to_datetime(timestamp)
}

/// Whether orders are taken when the clock shows `at`. No hours at all means always.
pub(crate) fn is_open(hours: &[OpeningHours], at: DateTime) -> bool {
    hours.is_empty() || hours.iter().any(|span| span.includes(at))
}

/// The span that opens next after `at`; `None` when there are no hours.
pub(crate) fn opens_next(hours: &[OpeningHours], at: DateTime) -> Option<OpeningHours> {
    hours.iter().copied().min_by_key(|span| span.opens_in(at))
}

/// Minutes after midnight on the clock.
pub(crate) fn minute_of_day(at: DateTime) -> u16 {
    let minute = i16::from(at.hour()) * 60 + i16::from(at.minute());
    minute.unsigned_abs()
}

fn week_minute(day: Weekday, minute: u16) -> i32 {
    i32::from(day.to_monday_zero_offset()) * i32::from(MINUTES_PER_DAY) + i32::from(minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        Instant(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn hours(day: Weekday, opens: &str, closes: &str) -> OpeningHours {
        let minutes = |text: &str| {
            let (hours, minutes) = text.split_once(':').unwrap();
            hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
        };
        OpeningHours { day, opens: minutes(opens), closes: minutes(closes) }
    }

    #[track_caller]
    fn check(hours: &[OpeningHours], zone: &str, time: &str, expected: bool) {
        let clock = wall_clock(&TimeZone::get(zone).unwrap(), at(time));
        assert_eq!(is_open(hours, clock), expected, "{time} is {clock} in {zone}");
    }

    #[test]
    fn no_hours_mean_always() {
        check(&[], "Europe/London", "2026-01-01T03:00:00Z", true);
    }

    #[test]
    fn a_span_holds_its_first_minute_and_not_its_last() {
        let friday = [hours(Weekday::Friday, "11:00", "23:00")];

        check(&friday, "UTC", "2026-01-09T10:59:59.999999Z", false);
        check(&friday, "UTC", "2026-01-09T11:00:00Z", true);
        check(&friday, "UTC", "2026-01-09T22:59:59.999999Z", true);
        check(&friday, "UTC", "2026-01-09T23:00:00Z", false);
        check(&friday, "UTC", "2026-01-10T12:00:00Z", false);
    }

    #[test]
    fn a_span_can_end_on_the_next_day() {
        let sunday = [hours(Weekday::Sunday, "22:00", "02:00")];

        check(&sunday, "UTC", "2026-01-11T21:59:00Z", false);
        check(&sunday, "UTC", "2026-01-11T22:00:00Z", true);
        check(&sunday, "UTC", "2026-01-12T01:59:00Z", true);
        check(&sunday, "UTC", "2026-01-12T02:00:00Z", false);
        check(&sunday, "UTC", "2026-01-11T01:00:00Z", false);
    }

    #[test]
    fn midnight_can_be_written_in_two_ways() {
        for closes in ["24:00", "00:00"] {
            let friday = [hours(Weekday::Friday, "18:00", closes)];

            check(&friday, "UTC", "2026-01-09T23:59:59Z", true);
            check(&friday, "UTC", "2026-01-10T00:00:00Z", false);
        }
    }

    #[test]
    fn a_whole_day_is_from_midnight_to_midnight() {
        let friday = [hours(Weekday::Friday, "00:00", "24:00")];

        check(&friday, "UTC", "2026-01-08T23:59:59Z", false);
        check(&friday, "UTC", "2026-01-09T00:00:00Z", true);
        check(&friday, "UTC", "2026-01-09T23:59:59Z", true);
        check(&friday, "UTC", "2026-01-10T00:00:00Z", false);
    }

    #[test]
    fn a_span_that_closes_when_it_opens_lasts_a_day() {
        let friday = [hours(Weekday::Friday, "10:00", "10:00")];

        check(&friday, "UTC", "2026-01-09T09:59:00Z", false);
        check(&friday, "UTC", "2026-01-10T09:59:00Z", true);
        check(&friday, "UTC", "2026-01-10T10:00:00Z", false);
    }

    #[test]
    fn hours_follow_the_summer_time_of_their_zone() {
        let daily = [Weekday::Thursday, Weekday::Friday].map(|day| hours(day, "18:00", "22:00"));

        check(&daily, "Europe/London", "2026-01-09T17:30:00Z", false);
        check(&daily, "Europe/London", "2026-01-09T18:00:00Z", true);
        check(&daily, "Europe/London", "2026-07-10T17:00:00Z", true);
        check(&daily, "Europe/London", "2026-07-10T21:30:00Z", false);
    }

    #[test]
    fn a_clock_put_forward_skips_the_hour_that_is_not_there() {
        // On 2026-03-29 at 01:00Z, London's clock goes from 01:00 to 02:00.
        let night = [hours(Weekday::Saturday, "22:00", "01:30")];

        check(&night, "Europe/London", "2026-03-29T00:59:00Z", true);
        check(&night, "Europe/London", "2026-03-29T01:00:00Z", false);
        check(&[hours(Weekday::Sunday, "01:15", "03:00")], "Europe/London", "2026-03-29T01:00:00Z", true);
    }

    #[test]
    fn a_clock_put_back_shows_an_hour_twice() {
        // On 2026-10-25 at 01:00Z, London's clock goes from 02:00 back to 01:00.
        let night = [hours(Weekday::Saturday, "22:00", "01:30")];

        check(&night, "Europe/London", "2026-10-25T00:15:00Z", true);
        check(&night, "Europe/London", "2026-10-25T00:45:00Z", false);
        check(&night, "Europe/London", "2026-10-25T01:15:00Z", true);
        check(&night, "Europe/London", "2026-10-25T01:30:00Z", false);
    }

    #[test]
    fn the_day_is_that_of_the_zone() {
        let monday = [hours(Weekday::Monday, "08:00", "10:00")];

        check(&monday, "Pacific/Auckland", "2026-01-11T20:00:00Z", true);
        check(&monday, "UTC", "2026-01-11T20:00:00Z", false);
    }

    #[test]
    fn the_next_opening_may_be_next_week() {
        let week = [hours(Weekday::Monday, "11:00", "14:00"), hours(Weekday::Monday, "18:00", "22:00")];
        let clock = |time| wall_clock(&TimeZone::UTC, at(time));

        assert_eq!(opens_next(&week, clock("2026-01-12T15:00:00Z")), Some(week[1]));
        assert_eq!(opens_next(&week, clock("2026-01-12T23:00:00Z")), Some(week[0]));
        assert_eq!(opens_next(&[], clock("2026-01-12T23:00:00Z")), None);
    }

    #[test]
    fn the_ends_of_time_have_an_answer() {
        for micros in [i64::MIN, i64::MAX] {
            assert!(is_open(&[], wall_clock(&TimeZone::get("Europe/London").unwrap(), Instant(micros))));
        }
    }
}
