//! Reads the fields of a restaurant.

use super::menu::amount;
use crate::domain::{CountryCode, DeliveryArea, MINUTES_PER_DAY, OpeningHours, Profile, Text};
use iso_currency::Currency;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use proto::comanda::restaurant::v1 as contract;
use proto::google::r#type::{DayOfWeek, TimeOfDay};
use proto::{Amount, Violation, Violations, money};

/// Spans of a week at most, as the contract says.
const OPENING_HOURS_MAX: usize = 100;
/// Prefixes of an area at most, as the contract says.
const PREFIXES_MAX: usize = 1_000;

/// Reads all that clients set of a restaurant, beside its menu and whether it takes orders; the currency comes along even when something
/// else is wrong, so that prices can be compared with it.
pub(crate) fn profile(
    given: &contract::Restaurant,
    violations: &mut Violations,
) -> (Option<Profile>, Option<Currency>) {
    let currency = violations.take(money::parse_currency("restaurant.currency_code", &given.currency_code));
    let name = violations.take(name(given));
    let country_code = violations.take(country_code(given));
    let time_zone = violations.take(time_zone(given));
    let opening_hours = opening_hours(given, violations);
    let delivery_area = delivery_area(given, violations);
    let minimum_order = violations.take(minimum_order(given, currency));
    let profile = || {
        Some(Profile {
            name: name?,
            country_code: country_code?,
            currency: currency?,
            time_zone: time_zone?,
            opening_hours,
            delivery_area,
            minimum_order: minimum_order?,
        })
    };
    (profile(), currency)
}

pub(super) fn name(given: &contract::Restaurant) -> Result<Text<1, 200>, Violation> {
    Text::parse("restaurant.name", &given.name)
}

pub(super) fn country_code(given: &contract::Restaurant) -> Result<CountryCode, Violation> {
    CountryCode::parse("restaurant.country_code", &given.country_code)
}

pub(super) fn time_zone(given: &contract::Restaurant) -> Result<TimeZone, Violation> {
    if given.time_zone.is_empty() {
        return Ok(TimeZone::UTC);
    }
    // A zone without a name could not be written down again.
    let found = TimeZone::get(&given.time_zone).ok().filter(|zone| !zone.is_unknown() && zone.iana_name().is_some());
    found.ok_or_else(|| Violation::new("restaurant.time_zone", "must be an IANA name such as Europe/London"))
}

pub(super) fn minimum_order(
    given: &contract::Restaurant,
    currency: Option<Currency>,
) -> Result<Option<Amount>, Violation> {
    let minimum = given.minimum_order.as_ref();
    minimum.map(|minimum| amount("restaurant.minimum_order", Some(minimum), currency)).transpose()
}

pub(super) fn delivery_area(given: &contract::Restaurant, violations: &mut Violations) -> DeliveryArea {
    let field = "restaurant.delivery_area.postal_code_prefixes";
    let prefixes = given.delivery_area.as_ref().map(|area| area.postal_code_prefixes.as_slice()).unwrap_or_default();
    if prefixes.len() > PREFIXES_MAX {
        violations.push(Violation::new(field, format!("must be at most {PREFIXES_MAX} prefixes")));
        return DeliveryArea::default();
    }
    let parsed = prefixes.iter().enumerate().map(|(number, it)| Text::parse(&format!("{field}[{number}]"), it));
    DeliveryArea { postal_code_prefixes: parsed.filter_map(|prefix| violations.take(prefix)).collect() }
}

pub(super) fn opening_hours(given: &contract::Restaurant, violations: &mut Violations) -> Vec<OpeningHours> {
    let field = "restaurant.opening_hours";
    if given.opening_hours.len() > OPENING_HOURS_MAX {
        violations.push(Violation::new(field, format!("must be at most {OPENING_HOURS_MAX} spans")));
        return Vec::new();
    }
    let spans = given.opening_hours.iter().enumerate();
    spans.filter_map(|(number, it)| span(&format!("{field}[{number}]"), it, violations)).collect()
}

fn span(field: &str, given: &contract::OpeningHours, violations: &mut Violations) -> Option<OpeningHours> {
    let day = violations.take(day(&format!("{field}.day"), given.day));
    let opens = violations.take(minute(&format!("{field}.opens"), given.opens.as_ref(), 0));
    let closes = violations.take(minute(&format!("{field}.closes"), given.closes.as_ref(), MINUTES_PER_DAY));
    if opens == Some(MINUTES_PER_DAY) {
        violations.push(Violation::new(format!("{field}.opens"), "must be before 24:00; use 00:00 of the next day"));
        return None;
    }
    Some(OpeningHours { day: day?, opens: opens?, closes: closes? })
}

fn day(field: &str, number: i32) -> Result<Weekday, Violation> {
    match DayOfWeek::try_from(number) {
        Ok(DayOfWeek::Monday) => Ok(Weekday::Monday),
        Ok(DayOfWeek::Tuesday) => Ok(Weekday::Tuesday),
        Ok(DayOfWeek::Wednesday) => Ok(Weekday::Wednesday),
        Ok(DayOfWeek::Thursday) => Ok(Weekday::Thursday),
        Ok(DayOfWeek::Friday) => Ok(Weekday::Friday),
        Ok(DayOfWeek::Saturday) => Ok(Weekday::Saturday),
        Ok(DayOfWeek::Sunday) => Ok(Weekday::Sunday),
        Ok(DayOfWeek::Unspecified) => Err(Violation::required(field)),
        Err(_) => Err(Violation::new(field, "must be MONDAY to SUNDAY")),
    }
}

fn minute(field: &str, time: Option<&TimeOfDay>, unset: u16) -> Result<u16, Violation> {
    let Some(&TimeOfDay { hours, minutes, seconds, nanos }) = time else { return Ok(unset) };
    if seconds != 0 || nanos != 0 {
        return Err(Violation::new(field, "must be whole minutes"));
    }
    let is_time = (0..24).contains(&hours) && (0..60).contains(&minutes);
    if !is_time && (hours, minutes) != (24, 0) {
        return Err(Violation::new(field, "must be a time from 00:00 to 24:00"));
    }
    u16::try_from(hours * 60 + minutes).map_err(|_| Violation::new(field, "must be a time from 00:00 to 24:00"))
}
