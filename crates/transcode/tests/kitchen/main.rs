//! The transcoder in front of a kitchen that has every kind of field and rule.

#![expect(clippy::unwrap_used, reason = "what is beside the test functions is a part of tests too")]

mod answers;
mod kit;
mod openapi;
mod requests;
mod round_trip;
