//! JSON as a token may hold it: no name twice, at any depth, since two readers could take different ones.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};
use strict_json::Strict;

/// An object in which no name stands twice.
#[derive(Debug)]
pub(crate) struct Unique(pub(crate) Map<String, Value>);

impl Unique {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// What stands at a path such as `realm_access.roles`. A name that is there as it is goes before a path.
    pub(crate) fn at(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(path) {
            return Some(value);
        }
        let mut names = path.split('.');
        let first = self.0.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }
}

/// The texts of a value: of a text, a number or a truth, or of a list of them.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(text).collect(),
        other => text(other).into_iter().collect(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        // An empty one would be equal to a field that is not set.
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict::deserialize(deserializer)?.0 {
            Value::Object(fields) => Ok(Unique(fields)),
            _ => Err(D::Error::custom("not an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_stands_twice_is_refused_at_any_depth() {
        for twice in [r#"{"a":1,"a":1}"#, r#"{"b":{"a":1,"a":2}}"#, r#"{"b":[{"a":1,"\u0061":2}]}"#] {
            assert!(serde_json::from_str::<Unique>(twice).is_err(), "{twice}");
        }
        for other in ["[]", "1", "\"a\"", "null"] {
            assert!(serde_json::from_str::<Unique>(other).is_err(), "{other}");
        }
    }

    #[test]
    fn everything_else_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,2.5,"x",true,null,{"b":{}}],"c":18446744073709551615}"#;

        let Unique(fields) = serde_json::from_str(text).unwrap();

        assert_eq!(Value::Object(fields), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_value_is_found_by_its_name_or_its_path() {
        let claims: Unique = serde_json::from_str(r#"{"a":{"b":["x"]},"u.v/w":1}"#).unwrap();

        assert_eq!(claims.at("a.b"), Some(&json!(["x"])));
        assert_eq!(claims.at("u.v/w"), Some(&json!(1)));
        assert_eq!(claims.at("a.c"), None);
    }

    #[test]
    fn a_claim_has_one_text_or_several_and_never_an_empty_one() {
        assert_eq!(texts(&json!("x")), ["x"]);
        assert_eq!(texts(&json!(["x", 7, "", {"y": 1}])), ["x", "7"]);
        assert!(texts(&json!("")).is_empty() && texts(&json!(null)).is_empty());
    }
}
