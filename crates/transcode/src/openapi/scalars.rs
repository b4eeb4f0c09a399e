//! JSON schemas of scalars, in their proto3 JSON form.

use super::limits::Limits;
use super::schema::Side;
use crate::text::camel;
use prost_reflect::Kind;
use serde_json::{Value as Json, json};

/// Paths of a field mask in their JSON form.
const MASK: &str = "^([a-z][a-zA-Z0-9]*(\\.[a-z][a-zA-Z0-9]*)*(,[a-z][a-zA-Z0-9]*(\\.[a-z][a-zA-Z0-9]*)*)*)?$";
/// Groups of four, the last one whole, padded, or without its padding.
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}(==)?|[A-Za-z0-9+/]{3}=?)?$";
/// Seconds with up to nine decimals; eleven digits are within the limit of 315,576,000,000.
const DURATION: &str = "^-?[0-9]{1,11}(\\.[0-9]{1,9})?s$";
const NUMBER: &str = "^(-?[0-9]{1,15}(\\.[0-9]{1,9})?|NaN|-?Infinity)$";

/// The schema of a scalar; `None` for enums and messages.
pub(crate) fn schema(kind: &Kind, side: Side, limits: &Limits) -> Option<Json> {
    Some(match kind {
        Kind::Double => number("double", f64::MAX, side),
        Kind::Float => number("float", f32::MAX.into(), side),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => whole("int32", i32::MIN.into(), i32::MAX.into(), side, limits),
        Kind::Uint32 | Kind::Fixed32 => whole("uint32", 0, u32::MAX.into(), side, limits),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => whole("int64", i64::MIN.into(), i64::MAX.into(), side, limits),
        Kind::Uint64 | Kind::Fixed64 => whole("uint64", 0, u64::MAX.into(), side, limits),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::String => text(side, limits),
        Kind::Bytes => match side {
            Side::Answer => json!({"type": "string", "format": "byte"}),
            Side::Parameter | Side::Body => json!({"type": "string", "format": "byte", "pattern": BASE64}),
        },
        Kind::Enum(_) | Kind::Message(_) => return None,
    })
}

/// The schema of a well-known type that is no object with its fields.
pub(crate) fn well_known(name: &str, side: Side, limits: &Limits) -> Option<Json> {
    Some(match name {
        "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
        "google.protobuf.Duration" => json!({"type": "string", "pattern": DURATION, "examples": ["1.5s"]}),
        "google.protobuf.FieldMask" => mask(side, limits),
        "google.protobuf.Any" => json!({
            "type": "object",
            "description": "A message of any type, whose fields or `value` stand beside the URL of its type.",
            "required": ["@type"],
            "properties": {"@type": {"type": "string", "pattern": "/[^/]+$"}},
        }),
        "google.protobuf.Struct" => json!({"type": "object"}),
        "google.protobuf.ListValue" => json!({"type": "array"}),
        "google.protobuf.Value" => json!({}),
        _ => return None,
    })
}

fn text(side: Side, limits: &Limits) -> Json {
    let mut schema = json!({"type": "string"});
    match (side, &limits.format) {
        (Side::Parameter | Side::Body, _) => limits.add_to_text(&mut schema),
        (Side::Answer, Some(format)) => schema["format"] = format.as_str().into(),
        (Side::Answer, None) => {}
    }
    schema
}

fn mask(side: Side, limits: &Limits) -> Json {
    let mut schema = json!({"type": "string", "description": "Names of fields, separated by commas."});
    match (side, limits.values.as_slice()) {
        (Side::Answer, _) => {}
        (Side::Parameter | Side::Body, []) => schema["pattern"] = MASK.into(),
        (Side::Parameter | Side::Body, values) => {
            let one = values.iter().map(|value| camel(value).replace('.', "\\.")).collect::<Vec<_>>().join("|");
            schema["pattern"] = format!("^(({one})(,({one}))*)?$").into();
        }
    }
    schema
}

fn number(format: &str, most: f64, side: Side) -> Json {
    match side {
        Side::Parameter => json!({"type": "number", "format": format, "minimum": -most, "maximum": most}),
        Side::Body => json!({
            "type": ["number", "string"], "format": format, "minimum": -most, "maximum": most, "pattern": NUMBER,
        }),
        Side::Answer => {
            json!({"anyOf": [{"type": "number", "format": format}, {"enum": ["NaN", "Infinity", "-Infinity"]}]})
        }
    }
}

/// A whole number. Those of 64 bits are texts, since many languages read numbers as doubles; a body can hold either for both.
fn whole(format: &str, least: i128, most: i128, side: Side, limits: &Limits) -> Json {
    let is_wide = format.ends_with("64");
    if side == Side::Answer {
        return match (is_wide, least < 0) {
            (true, true) => json!({"type": "string", "format": format, "pattern": "^-?[0-9]+$"}),
            (true, false) => json!({"type": "string", "format": format, "pattern": "^[0-9]+$"}),
            (false, _) => json!({"type": "integer", "format": format, "minimum": bound(least), "maximum": bound(most)}),
        };
    }
    let least = limits.minimum.map_or(least, i128::from);
    let most = limits.maximum.map_or(most, i128::from);
    let digits = digits(least, most);
    let mut schema = json!({"format": format});
    match (side, &digits, is_wide) {
        (Side::Parameter, Some(digits), true) => {
            schema["type"] = "string".into();
            schema["pattern"] = digits.as_str().into();
            return schema;
        }
        (Side::Body, Some(digits), _) => {
            schema["type"] = if is_wide { json!(["string", "integer"]) } else { json!(["integer", "string"]) };
            schema["pattern"] = digits.as_str().into();
        }
        (Side::Parameter | Side::Body | Side::Answer, _, _) => schema["type"] = "integer".into(),
    }
    schema["minimum"] = bound(least);
    schema["maximum"] = bound(most);
    schema
}

/// What matches only numbers from `least` to `most`: as many digits as are never too many. `None` where that is not enough.
fn digits(least: i128, most: i128) -> Option<String> {
    let fits = |bound: i128| u32::try_from((bound + 1).to_string().len()).unwrap_or(1) - 1;
    match least {
        0 if most > 8 => Some(format!("^[0-9]{{1,{}}}$", fits(most))),
        1 if most > 8 => Some(format!("^[1-9][0-9]{{0,{}}}$", fits(most) - 1)),
        _ if least < -8 && most > 8 => Some(format!("^-?[0-9]{{1,{}}}$", fits(most).min(fits(-least)))),
        _ => None,
    }
}

fn bound(number: i128) -> Json {
    i64::try_from(number).map(Json::from).or_else(|_| u64::try_from(number).map(Json::from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_never_too_many() {
        assert_eq!(digits(i32::MIN.into(), i32::MAX.into()).as_deref(), Some("^-?[0-9]{1,9}$"));
        assert_eq!(digits(0, u64::MAX.into()).as_deref(), Some("^[0-9]{1,19}$"));
        assert_eq!(digits(1, 999).as_deref(), Some("^[1-9][0-9]{0,2}$"));
        assert_eq!(digits(0, 9).as_deref(), Some("^[0-9]{1,1}$"));
        assert_eq!(digits(5, 999), None);
    }

    #[test]
    fn bounds_are_exact() {
        let schema = schema(&Kind::Uint64, Side::Body, &Limits::default()).unwrap();

        assert_eq!((&schema["minimum"], &schema["maximum"]), (&json!(0), &json!(u64::MAX)));
    }
}
