//! Strict JSON: one value, no trailing bytes, no key twice, since two readers could take different ones.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Reads one JSON value. Nesting is bounded at 128 by `serde_json`.
///
/// # Errors
/// Says what is wrong and where; a key that stands twice is an error, since readers differ on which one counts.
pub fn parse(bytes: &[u8]) -> Result<Value, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("is not UTF-8 after byte {}", error.valid_up_to()))?;
    let Strict(value) = serde_json::from_str(text).map_err(|error| format!("is not valid JSON: {error}"))?;
    Ok(value)
}

/// A value that was read strictly.
#[derive(Debug, Clone, PartialEq)]
pub struct Strict(pub Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Strict(element)) = access.next_element()? {
            elements.push(element);
        }
        Ok(elements.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = access.next_entry::<String, Strict>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} stands twice in one object")));
            }
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], complaint: &str) {
        let complained = parse(text).unwrap_err();
        assert!(complained.contains(complaint), "{complained}");
    }

    #[test]
    fn a_value_is_read() {
        let text = br#"{"a":[1,-2,1.5,"x",null,true],"b":{}}"#;

        assert_eq!(parse(text), Ok(serde_json::json!({"a": [1, -2, 1.5, "x", null, true], "b": {}})));
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        check(br#"{"name":"#, "EOF");
        check(br#"{"name":"a"} x"#, "trailing characters");
        check(br#"{"name":"a",}"#, "trailing comma");
        check(b"{\"a\":\"\xff\"}", "is not UTF-8 after byte 6");
        check(br#"{"a":{"name":1,"name":2}}"#, r#"the key "name" stands twice"#);
        check(br#"{"a":"\ud800"}"#, "JSON");
        check(b"1e999", "out of range");
        check("[".repeat(200).as_bytes(), "recursion limit");
    }
}
