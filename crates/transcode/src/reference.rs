//! Reads and writes JSON through messages of `prost-reflect`: slower than a plan, and it knows every form and every complaint.

use crate::decode;
use crate::dialect::{Dialect, EnumNames};
use crate::plan::time;
use crate::text;
use crate::violation::Violations;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, SerializeOptions, Value,
};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use std::borrow::Cow;

/// What becomes of fields whose value is their default, and which have no presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// They are written, so that a client need not know the defaults.
    Written,
    /// They are left out, as proto3 JSON does it by default.
    LeftOut,
}

/// How messages are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) defaults: Defaults,
    pub(crate) enum_names: EnumNames,
}

/// How messages of one type are read and written when it must be right rather than quick.
#[derive(Debug, Clone)]
pub struct Reference {
    message: MessageDescriptor,
    dialect: Dialect,
}

impl Reference {
    /// A reference for a message.
    #[must_use]
    pub fn new(of: MessageDescriptor, dialect: Dialect) -> Self {
        Reference { message: of, dialect }
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(&self, json: &[u8]) -> Result<Vec<u8>, String> {
        let value = strict_json::parse(json)?;
        let mut violations = Violations::default();
        let read = decode::Reader::new(&mut violations, self.dialect).message(&self.message, &value, "");
        violations.into_result().map_err(|refused| refused.status.message().to_owned())?;
        let message = read.ok_or("body must not be null")?;
        Ok(message.encode_to_vec())
    }

    /// Writes JSON.
    ///
    /// # Errors
    /// When the bytes are no such message, or it has no JSON.
    pub fn write(&self, wire: &[u8], defaults: Defaults) -> Result<Vec<u8>, String> {
        let mut json = Vec::new();
        let style = Style { defaults, enum_names: self.dialect.enum_names };
        write(&self.message, wire, style, &mut json)?;
        Ok(json)
    }
}

/// Writes a message as JSON after what is there.
pub(crate) fn write(of: &MessageDescriptor, wire: &[u8], style: Style, json: &mut Vec<u8>) -> Result<(), String> {
    let message = DynamicMessage::decode(of.clone(), wire).map_err(|error| error.to_string())?;
    let (value, kind) = (&Value::Message(message), &Kind::Message(of.clone()));
    serde_json::to_writer(json, &Shown { value, kind, style }).map_err(|error| error.to_string())
}

/// A value as JSON. `prost-reflect` could write it too, but for wrappers of what is not finite, which it takes for null.
pub(crate) struct Shown<'v> {
    pub(crate) value: &'v Value,
    pub(crate) kind: &'v Kind,
    pub(crate) style: Style,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let style = self.style;
        match (self.value, self.kind) {
            (Value::Bool(value), _) => value.serialize(serializer),
            (Value::I32(value), _) => value.serialize(serializer),
            (Value::U32(value), _) => value.serialize(serializer),
            (Value::I64(value), _) => serializer.collect_str(value),
            (Value::U64(value), _) => serializer.collect_str(value),
            (Value::F32(value), _) if value.is_finite() => value.serialize(serializer),
            (Value::F32(value), _) => infinite((*value).into()).serialize(serializer),
            (Value::F64(value), _) if value.is_finite() => value.serialize(serializer),
            (Value::F64(value), _) => infinite(*value).serialize(serializer),
            (Value::String(value), _) => value.serialize(serializer),
            (Value::Bytes(value), _) => BASE64_STANDARD.encode(value).serialize(serializer),
            (Value::EnumNumber(_), Kind::Enum(of)) if of.full_name() == "google.protobuf.NullValue" => {
                serializer.serialize_unit()
            }
            (Value::EnumNumber(number), Kind::Enum(of)) => match of.get_value(*number) {
                Some(value) => style.enum_names.name(&value).serialize(serializer),
                None => number.serialize(serializer),
            },
            (Value::Message(message), _) => show(message, style, serializer),
            (Value::List(values), kind) => {
                serializer.collect_seq(values.iter().map(|value| Shown { value, kind, style }))
            }
            (Value::Map(entries), Kind::Message(entry)) => {
                let kind = &entry.map_entry_value_field().kind();
                serializer.collect_map(entries.iter().map(|(key, value)| (key_text(key), Shown { value, kind, style })))
            }
            (Value::EnumNumber(_) | Value::Map(_), _) => Err(S::Error::custom("a value is not of its kind")),
        }
    }
}

fn show<S: Serializer>(message: &DynamicMessage, style: Style, serializer: S) -> Result<S::Ok, S::Error> {
    let of = message.descriptor();
    if let (Some(kind), Some(value)) = (text::wrapped(&of), message.get_field_by_name("value")) {
        return Shown { value: &value, kind: &kind, style }.serialize(serializer);
    }
    if let Some(put) = time_text(of.full_name()) {
        let text = put(message).ok_or_else(|| S::Error::custom("a time is out of range, or its signs differ"))?;
        return text.serialize(serializer);
    }
    let is_empty_any = of.full_name() == "google.protobuf.Any" && message.fields().next().is_none();
    if decode::is_well_known(of.full_name()) && !is_empty_any {
        let options = SerializeOptions::new().skip_default_fields(style.defaults == Defaults::LeftOut);
        return named(message).serialize_with_options(serializer, &options);
    }
    let is_shown = |field: &FieldDescriptor| {
        message.has_field(field) || (style.defaults == Defaults::Written && !field.supports_presence() && !is_empty_any)
    };
    let mut map = serializer.serialize_map(None)?;
    for field in of.fields().filter(is_shown) {
        let (value, kind) = (&message.get_field(&field), &field.kind());
        map.serialize_entry(field.json_name(), &Shown { value, kind, style })?;
    }
    for (extension, value) in message.extensions() {
        map.serialize_entry(extension.json_name(), &Shown { value, kind: &extension.kind(), style })?;
    }
    map.end()
}

/// A field mask without paths that have no name, for which JSON has no place; any other message as it is.
fn named(message: &DynamicMessage) -> Cow<'_, DynamicMessage> {
    if message.descriptor().full_name() != "google.protobuf.FieldMask" {
        return Cow::Borrowed(message);
    }
    let mut mask = message.clone();
    if let Some(Value::List(paths)) = mask.get_field_by_name_mut("paths") {
        paths.retain(|path| path.as_str() != Some(""));
    }
    Cow::Owned(mask)
}

type PutTime = fn(&mut Vec<u8>, i64, i32) -> Option<()>;

/// How a time is written. `prost-reflect` would bring one into its range that is not.
fn time_text(name: &str) -> Option<impl Fn(&DynamicMessage) -> Option<String>> {
    let put: PutTime = match name {
        "google.protobuf.Timestamp" => time::put_timestamp,
        "google.protobuf.Duration" => time::put_duration,
        _ => return None,
    };
    Some(move |message: &DynamicMessage| {
        let seconds = message.get_field_by_name("seconds")?.as_i64()?;
        let nanos = message.get_field_by_name("nanos")?.as_i32()?;
        let mut text = Vec::new();
        put(&mut text, seconds, nanos)?;
        serde_json::from_slice(&text).ok()
    })
}

/// What JSON calls what is not finite.
pub(crate) fn infinite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
