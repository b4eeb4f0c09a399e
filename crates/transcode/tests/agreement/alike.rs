//! When two texts say the same, for the tests and the fuzzers.

use serde_json::Value as Json;

pub(crate) fn json(bytes: &[u8]) -> Json {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

#[track_caller]
pub(crate) fn assert_alike(planned: &[u8], written: &[u8], of: &str) {
    assert_eq!(without_negative_zeros(json(planned)), without_negative_zeros(json(written)), "{of}");
}

/// Without members of `-0.0`: protobuf tells it from the default, and `prost-reflect` does not.
fn without_negative_zeros(document: Json) -> Json {
    let is_negative_zero = |value: &Json| value.as_f64().is_some_and(|value| value == 0.0 && value.is_sign_negative());
    match document {
        Json::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !is_negative_zero(value))
            .map(|(name, value)| (name, without_negative_zeros(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Json::Array(items) => items.into_iter().map(without_negative_zeros).collect(),
        other => other,
    }
}
