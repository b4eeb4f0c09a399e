//! The transcoder in front of a kitchen that has every kind of field and rule.

#![expect(clippy::unwrap_used, reason = "what is beside the test functions is a part of tests too")]

mod answers;
mod enum_names;
mod kit;
mod live_defects;
mod loading;
mod openapi;
mod public;
mod requests;
mod rest_cases;
mod round_trip;
mod uploads;
mod versions;
