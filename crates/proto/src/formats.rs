//! JSON Schemas of the formats that fields of the contract name beyond those that JSON Schema knows.
//!
//! A format stands in the option `comanda.http.v1.limits`; what is here is what the parsers of the services take.

use crate::money::{NANOS_PER_UNIT, decimals};
use iso_currency::{Currency, IntoEnumIterator};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// The schemas, by the names of their formats.
#[must_use]
pub fn formats() -> BTreeMap<String, Json> {
    [
        ("amount", amount()),
        ("iana-time-zone", time_zone()),
        ("iso-4217", currency()),
        ("minute-of-day", minute_of_day()),
        ("minute-of-day-or-its-end", json!({"anyOf": [minute_of_day(), end_of_day()]})),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}

fn currency() -> Json {
    let codes: BTreeSet<&str> = Currency::iter().map(|currency| currency.code()).collect();
    json!({"type": "string", "description": "ISO 4217.", "enum": codes, "examples": ["GBP"]})
}

/// `google.type.Money` of whole minor units: how many nanos that is depends on the currency.
fn amount() -> Json {
    let mut codes_by_decimals: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    for currency in Currency::iter() {
        codes_by_decimals.entry(decimals(currency)).or_default().insert(currency.code());
    }
    let alternatives = codes_by_decimals.into_iter().map(|(decimals, codes)| {
        // Whatever the minor units are beside it.
        let most = i64::MAX / 10_i64.pow(decimals) - i64::from(decimals > 0);
        let digits = most.to_string().len() - 1;
        let step = NANOS_PER_UNIT / 10_i128.pow(decimals);
        let nanos = match i64::try_from(step) {
            Ok(step) if decimals > 0 => json!({
                "type": ["integer", "null"], "description": format!("Whole minor units, of {decimals} decimal places."),
                "minimum": 0, "maximum": 999_999_999, "multipleOf": step,
            }),
            _ => json!({"enum": [0, null], "description": "There are no minor units."}),
        };
        json!({
            "type": "object",
            "required": ["currencyCode"],
            "properties": {
                "currencyCode": {"enum": codes},
                "units": {
                    "type": ["string", "integer", "null"], "format": "int64", "description": "The whole units.",
                    "pattern": format!("^[0-9]{{1,{digits}}}$"), "minimum": 0, "maximum": most,
                },
                "nanos": nanos,
            },
            "additionalProperties": false,
        })
    });
    json!({
        "description": "An amount of money, at least 0, in whole minor units of its currency: google.type.Money.",
        "examples": [{"currencyCode": "GBP", "units": "12", "nanos": 990_000_000}],
        "anyOf": alternatives.collect::<Vec<_>>(),
    })
}

/// Names of the time zones that are known here; none means UTC.
fn time_zone() -> Json {
    let known = jiff::tz::db().available().map(|name| name.as_str().to_owned());
    let is_place = |name: &String| name.contains('/') && !name.starts_with("posix/") && !name.starts_with("right/");
    let names: BTreeSet<String> = known.filter(is_place).chain(["".to_owned(), "UTC".to_owned()]).collect();
    json!({"type": "string", "description": "An IANA time zone.", "enum": names, "examples": ["Europe/London"]})
}

/// `google.type.TimeOfDay` in whole minutes.
fn minute_of_day() -> Json {
    let up_to = |most: u32| json!({"type": ["integer", "null"], "minimum": 0, "maximum": most});
    time_of_day(&up_to(23), &up_to(59))
}

fn end_of_day() -> Json {
    let mut end = time_of_day(&json!({"const": 24}), &json!({"enum": [0, null]}));
    end["required"] = json!(["hours"]);
    end
}

fn time_of_day(hours: &Json, minutes: &Json) -> Json {
    let none = json!({"enum": [0, null]});
    json!({
        "type": "object",
        "description": "Local time, in whole minutes: google.type.TimeOfDay.",
        "properties": {"hours": hours, "minutes": minutes, "seconds": none, "nanos": none},
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Amount;
    use crate::google::r#type::Money;

    #[test]
    fn the_steps_of_an_amount_are_its_minor_units() {
        let amount = &formats()["amount"];

        for alternative in amount["anyOf"].as_array().unwrap() {
            let properties = &alternative["properties"];
            let step = properties["nanos"]["multipleOf"].as_i64();
            let nanos = step.map_or(0, |step| 1_000_000_000 - step);
            let units = properties["units"]["maximum"].as_i64().unwrap();
            for code in properties["currencyCode"]["enum"].as_array().unwrap() {
                let currency_code = code.as_str().unwrap().to_owned();
                let money = Money { currency_code, units, nanos: nanos.try_into().unwrap() };
                assert!(Amount::parse("price", Some(&money)).is_ok(), "{money:?}");
            }
        }
    }

    #[test]
    fn every_time_zone_is_one() {
        for name in formats()["iana-time-zone"]["enum"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let found = jiff::tz::TimeZone::get(name).ok().and_then(|zone| zone.iana_name().map(str::to_owned));
            assert!(name.is_empty() || found.is_some(), "{name}");
        }
    }
}
