//! Values given as text, in a path or a query, and the words that say what a field wants.

use crate::dialect::EnumNames;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};
use std::borrow::Cow;

/// Names of an enum that a complaint lists at most; a longer list helps nobody.
const NAMES_MAX: usize = 20;

/// What a value would have to be; follows the name of the field.
pub(crate) type Complaint = Cow<'static, str>;

/// Reads the value of a singular field, or of one element of a repeated one.
pub(crate) fn value(kind: &Kind, text: &str, enum_names: EnumNames) -> Result<Value, Complaint> {
    let read = match kind {
        Kind::Double => double(text).map(Value::F64),
        Kind::Float => double(text).and_then(float).map(Value::F32),
        Kind::Bool => text.parse().ok().map(Value::Bool),
        Kind::String => Some(Value::String(text.to_owned())),
        Kind::Bytes => base64(text).map(|bytes| Value::Bytes(bytes.into())),
        Kind::Enum(of) => {
            let number = enum_names.number(of, text);
            number.or_else(|| integer(text)?.try_into().ok()).map(Value::EnumNumber)
        }
        Kind::Message(of) => return message(of, text, enum_names).map(Value::Message),
        _ => integer(text).and_then(|number| whole(kind, number)),
    };
    read.ok_or_else(|| wanted(kind, enum_names))
}

/// Reads a message that has a form as text.
fn message(of: &MessageDescriptor, text: &str, enum_names: EnumNames) -> Result<DynamicMessage, Complaint> {
    let kind = Kind::Message(of.clone());
    if let Some(inner) = wrapped(of) {
        let mut message = DynamicMessage::new(of.clone());
        message.set_field_by_name("value", value(&inner, text, enum_names)?);
        return Ok(message);
    }
    let json = match of.full_name() {
        "google.protobuf.FieldMask" => return Ok(mask(of, text.split(',').filter(|path| !path.is_empty()).map(snake))),
        "google.protobuf.Timestamp" | "google.protobuf.Duration" => serde_json::Value::from(text),
        _ => return Err("cannot be given as text".into()),
    };
    DynamicMessage::deserialize(of.clone(), json).map_err(|_| wanted(&kind, enum_names))
}

/// A `google.protobuf.FieldMask` of these paths.
pub(crate) fn mask(of: &MessageDescriptor, paths: impl Iterator<Item = String>) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    message.set_field_by_name("paths", Value::List(paths.map(Value::String).collect()));
    message
}

/// The kind inside of a wrapper such as `google.protobuf.Int64Value`.
pub(crate) fn wrapped(of: &MessageDescriptor) -> Option<Kind> {
    let name = of.full_name().strip_prefix("google.protobuf.")?;
    let is_wrapper = name.ends_with("Value") && !matches!(name, "Value" | "ListValue");
    of.get_field_by_name("value").filter(|_| is_wrapper).map(|field| field.kind())
}

/// A whole number, as far as it fits the kind.
pub(crate) fn whole(kind: &Kind, number: i128) -> Option<Value> {
    match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => number.try_into().ok().map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => number.try_into().ok().map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => number.try_into().ok().map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => number.try_into().ok().map(Value::U64),
        _ => None,
    }
}

/// A decimal whole number: digits, and a minus at most.
pub(crate) fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    text.parse::<i64>().map(i128::from).ok().or_else(|| text.parse().ok())
}

/// A whole number as JSON has it in a string: `5`, `5.0` or `5e0`.
pub(crate) fn whole_number(text: &str) -> Option<i128> {
    integer(text).or_else(|| double(text).and_then(whole_double))
}

/// A double that is a whole number.
#[expect(clippy::cast_possible_truncation, reason = "checked to be whole; the kind's range is checked by the caller")]
pub(crate) fn whole_double(number: f64) -> Option<i128> {
    (number.fract() == 0.0).then_some(number as i128)
}

/// A number in the grammar of JSON, or one of the three names that proto3 JSON knows.
pub(crate) fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ if text.trim_ascii().len() < text.len() => None,
        _ => serde_json::from_str(text).ok(),
    }
}

/// The nearest `float`; `None` when only an infinity is near.
#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest float is what is wanted")]
pub(crate) fn float(number: f64) -> Option<f32> {
    let float = number as f32;
    (float.is_finite() || !number.is_finite()).then_some(float)
}

/// What JSON readers take: padding or none, and whatever stands in the bits that no byte needs.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Base64 with the standard or the URL alphabet, with or without padding.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// Writes base64 as proto3 JSON has it: with the standard alphabet and with padding.
pub(crate) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    BASE64_STANDARD.encode_slice(bytes, &mut out[start..]).expect("four bytes for each three are enough");
}

/// Says what a value of this kind must be.
pub(crate) fn wanted(kind: &Kind, enum_names: EnumNames) -> Complaint {
    match kind {
        Kind::Double | Kind::Float => "must be a number".into(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => range(i32::MIN, i32::MAX),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => range(i64::MIN, i64::MAX),
        Kind::Uint32 | Kind::Fixed32 => range(0, u32::MAX),
        Kind::Uint64 | Kind::Fixed64 => range(0, u64::MAX),
        Kind::Bool => "must be true or false".into(),
        Kind::String => "must be a string".into(),
        Kind::Bytes => "must be a string in base64".into(),
        Kind::Enum(of) => {
            let names: Vec<_> = of.values().take(NAMES_MAX).map(|value| enum_names.name(&value).to_owned()).collect();
            let more = if of.values().len() > NAMES_MAX { ", .." } else { "" };
            format!("must be one of {}{more}", names.join(", ")).into()
        }
        Kind::Message(of) => match (of.full_name(), wrapped(of)) {
            ("google.protobuf.Timestamp", _) => "must be a time such as 2026-05-17T18:30:00Z".into(),
            ("google.protobuf.Duration", _) => "must be seconds such as 1.5s".into(),
            ("google.protobuf.FieldMask", _) => "must be names of fields in lowerCamelCase, separated by commas".into(),
            ("google.protobuf.ListValue", _) => "must be an array".into(),
            ("google.protobuf.Any", _) => "must be an object with a known @type".into(),
            (_, Some(inner)) => wanted(&inner, enum_names),
            (_, None) => "must be an object".into(),
        },
    }
}

fn range(least: impl std::fmt::Display, most: impl std::fmt::Display) -> Complaint {
    format!("must be a whole number from {least} to {most}").into()
}

/// `twoWords` as `two_words`; what is in snake case already stays.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// A path of a field mask as JSON has it, as a message has it: `twoWords` as `two_words`. `None` when it is not in camel case.
pub(crate) fn snake_path(path: &str) -> Option<String> {
    (!path.contains('_')).then(|| snake(path))
}

/// The way back; `None` when it would be another path.
pub(crate) fn camel_path(path: &str) -> Option<String> {
    let mut camel = String::with_capacity(path.len());
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '_' => camel.push(letters.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            'A'..='Z' => return None,
            _ => camel.push(letter),
        }
    }
    Some(camel)
}

/// `two_words` as `twoWords`, in each segment of a field path (the JSON name that protobuf derives).
pub(crate) fn camel(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut is_start = false;
    for letter in path.chars() {
        match letter {
            '_' => is_start = true,
            _ if is_start => {
                camel.push(letter.to_ascii_uppercase());
                is_start = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &Kind, text: &str, expected: Result<Value, &str>) {
        assert_eq!(
            value(kind, text, EnumNames::Whole),
            expected.map_err(|words| Cow::Owned(words.to_owned())),
            "{text}"
        );
    }

    #[test]
    fn numbers_are_read_strictly() {
        let range = "must be a whole number from -2147483648 to 2147483647";
        check(&Kind::Int32, "-5", Ok(Value::I32(-5)));
        check(&Kind::Int64, "9007199254740993", Ok(Value::I64(9_007_199_254_740_993)));
        for text in ["five", "", "-", "+5", "5.0", " 5", "2147483648", "99999999999999999999999999999999999999999"] {
            check(&Kind::Int32, text, Err(range));
        }
        check(&Kind::Uint64, "-1", Err("must be a whole number from 0 to 18446744073709551615"));
        check(&Kind::Double, "-1.5e3", Ok(Value::F64(-1500.0)));
        check(&Kind::Double, "inf", Err("must be a number"));
        check(&Kind::Float, "1e300", Err("must be a number"));
        check(&Kind::Float, "Infinity", Ok(Value::F32(f32::INFINITY)));
    }

    #[test]
    fn a_bool_is_true_or_false() {
        check(&Kind::Bool, "true", Ok(Value::Bool(true)));
        for text in ["yes", "1", "True", ""] {
            check(&Kind::Bool, text, Err("must be true or false"));
        }
    }

    #[test]
    fn bytes_are_base64_in_either_alphabet() {
        for text in ["+/8=", "-_8=", "-_8"] {
            check(&Kind::Bytes, text, Ok(Value::Bytes(bytes::Bytes::from_static(&[0xfb, 0xff]))));
        }
        check(&Kind::Bytes, "?", Err("must be a string in base64"));
    }

    #[test]
    fn paths_of_masks_change_their_case_or_are_refused() {
        assert_eq!(snake_path("inner.twoWords").as_deref(), Some("inner.two_words"));
        assert_eq!(camel_path("inner.two_words").as_deref(), Some("inner.twoWords"));
        for path in ["twoWords", "two__words", "two_3", "two_"] {
            assert_eq!(camel_path(path), None, "{path}");
        }
        assert_eq!(snake_path("two_words"), None);
    }

    #[test]
    fn names_change_their_case_path_by_path() {
        assert_eq!(camel("delivery_address.postal_code"), "deliveryAddress.postalCode");
        assert_eq!(camel("lines[2].menu_item_id"), "lines[2].menuItemId");
        assert_eq!(snake("inner.twoWords"), "inner.two_words");
    }
}
