//! proto3 JSON to messages, with every complaint under the path that the client wrote.
//!
//! `prost-reflect` can do this too, and stops at the first error with a text for programmers. It is asked only for the well-known
//! types, whose forms it knows.

use crate::dialect::{Dialect, EnumNames, Unknown};
use crate::text::{self, Complaint};
use crate::violation::Violations;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MapKey,
    MessageDescriptor, Value,
};
use serde_json::Value as Json;
use std::collections::HashMap;

/// Messages within messages at most: what prost reads before it gives up.
pub(crate) const DEPTH_MAX: usize = 99;

/// Reads JSON and complains.
pub(crate) struct Reader<'v> {
    violations: &'v mut Violations,
    dialect: Dialect,
    depth: usize,
}

/// The field that a key of a JSON object names: by its JSON name or its name in the `.proto` file.
pub(crate) fn field_of_key(of: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
    of.get_field_by_json_name(key).or_else(|| of.get_field_by_name(key))
}

/// Whether `prost-reflect` knows a form of a message that is not an object with its fields. Wrappers are not meant.
pub(crate) fn is_well_known(name: &str) -> bool {
    let forms = ["Any", "Duration", "FieldMask", "ListValue", "Struct", "Timestamp", "Value"];
    name.strip_prefix("google.protobuf.").is_some_and(|name| forms.contains(&name))
}

impl<'v> Reader<'v> {
    pub(crate) fn new(violations: &'v mut Violations, dialect: Dialect) -> Self {
        Reader { violations, dialect, depth: 0 }
    }

    fn complain<T>(&mut self, path: &str, complaint: impl Into<Complaint>) -> Option<T> {
        self.violations.push(if path.is_empty() { "body" } else { path }, complaint);
        None
    }

    fn wanted(&self, kind: &Kind) -> Complaint {
        text::wanted(kind, self.dialect.enum_names)
    }

    /// Reads the value of a whole field, repeated ones and maps included. `None` when it is null, or complaints were added.
    pub(crate) fn field(&mut self, field: &FieldDescriptor, json: &Json, path: &str) -> Option<Value> {
        match (field.kind(), json) {
            (kind, json) if field.is_list() => self.list(&kind, json, path),
            (_, Json::Null) if field.is_map() => None,
            (kind, Json::Object(entries)) if field.is_map() => self.map(&kind, entries, path),
            _ if field.is_map() => self.complain(path, "must be an object"),
            (kind, json) => self.singular(&kind, json, path),
        }
    }

    fn singular(&mut self, kind: &Kind, json: &Json, path: &str) -> Option<Value> {
        if json.is_null() && !takes_null(kind) { None } else { self.value(kind, json, path) }
    }

    fn list(&mut self, kind: &Kind, json: &Json, path: &str) -> Option<Value> {
        match json {
            Json::Null => None,
            Json::Array(elements) => {
                let mut values = Vec::with_capacity(elements.len());
                for (index, element) in elements.iter().enumerate() {
                    values.extend(self.value(kind, element, &format!("{path}[{index}]")));
                }
                Some(Value::List(values))
            }
            _ => self.complain(path, "must be an array"),
        }
    }

    /// An extension, whose key is its full name in brackets; only messages of proto2 and editions have some.
    fn extension(&mut self, extension: &ExtensionDescriptor, json: &Json, path: &str) -> Option<Value> {
        match (extension.kind(), json) {
            (kind, json) if extension.is_list() => self.list(&kind, json, path),
            (kind, json) => self.singular(&kind, json, path),
        }
    }

    fn map(&mut self, kind: &Kind, entries: &serde_json::Map<String, Json>, path: &str) -> Option<Value> {
        let entry = kind.as_message()?;
        let (keys, values) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut map = HashMap::with_capacity(entries.len());
        for (key, json) in entries {
            let path = below(path, key);
            match map_key(&keys, key) {
                Some(key) => map.extend(self.value(&values, json, &path).map(|value| (key, value))),
                None => self.complain(&path, format!("has a key that {}", self.wanted(&keys)))?,
            }
        }
        Some(Value::Map(map))
    }

    /// Reads one value: of a singular field, an element, or an entry.
    fn value(&mut self, kind: &Kind, json: &Json, path: &str) -> Option<Value> {
        if let Kind::Message(of) = kind {
            return self.message(of, json, path).map(Value::Message);
        }
        if let (Kind::Enum(of), Json::String(name), Unknown::Ignored) = (kind, json, self.dialect.unknown) {
            self.dialect.enum_names.number(of, name)?;
        }
        let value = match (kind, json) {
            (Kind::String, Json::String(text)) => Some(Value::String(text.clone())),
            (Kind::Bytes, Json::String(text)) => text::base64(text).map(|bytes| Value::Bytes(bytes.into())),
            (Kind::Bool, Json::Bool(value)) => Some(Value::Bool(*value)),
            (Kind::Double, _) => number(json).map(Value::F64),
            (Kind::Float, _) => number(json).and_then(text::float).map(Value::F32),
            (Kind::Enum(of), _) => self.enum_number(of, json).map(Value::EnumNumber),
            _ => integer(json).and_then(|number| text::whole(kind, number)),
        };
        value.or_else(|| self.complain(path, self.wanted(kind)))
    }

    fn enum_number(&self, of: &EnumDescriptor, json: &Json) -> Option<i32> {
        match json {
            Json::String(name) => self.dialect.enum_names.number(of, name),
            Json::Number(_) => integer(json)?.try_into().ok(),
            Json::Null if of.full_name() == "google.protobuf.NullValue" => Some(0),
            _ => None,
        }
    }

    /// Reads a message. `None` when complaints were added.
    pub(crate) fn message(&mut self, of: &MessageDescriptor, json: &Json, path: &str) -> Option<DynamicMessage> {
        if let Some(inner) = text::wrapped(of) {
            let value = self.value(&inner, json, path)?;
            let mut message = DynamicMessage::new(of.clone());
            message.set_field_by_name("value", value);
            return Some(message);
        }
        // An empty `Any` holds nothing, and needs no type.
        let is_empty = json.as_object().is_some_and(serde_json::Map::is_empty);
        if of.full_name() == "google.protobuf.Any" && is_empty {
            return Some(DynamicMessage::new(of.clone()));
        }
        if is_well_known(of.full_name()) {
            let options = DeserializeOptions::new().deny_unknown_fields(self.dialect.unknown == Unknown::Refused);
            let message = DynamicMessage::deserialize_with_options(of.clone(), json, &options).ok();
            return message.or_else(|| self.complain(path, self.wanted(&Kind::Message(of.clone()))));
        }
        let Json::Object(entries) = json else { return self.complain(path, "must be an object") };
        if self.depth == DEPTH_MAX {
            return self.complain(path, format!("is nested deeper than {DEPTH_MAX} messages"));
        }
        self.depth += 1;
        let message = self.entries(of, entries, path);
        self.depth -= 1;
        Some(message)
    }

    fn entries(
        &mut self,
        of: &MessageDescriptor,
        entries: &serde_json::Map<String, Json>,
        path: &str,
    ) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        let mut seen = Vec::with_capacity(entries.len());
        for (key, json) in entries {
            let path = below(path, key);
            let Some(field) = field_of_key(of, key) else {
                if let Some(extension) = of.get_extension_by_json_name(key) {
                    if let Some(value) = self.extension(&extension, json, &path) {
                        message.set_extension(&extension, value);
                    }
                } else if self.dialect.unknown == Unknown::Refused {
                    self.violations.push(path, "is not a field here");
                }
                continue;
            };
            if seen.contains(&field.number()) {
                self.violations.push(path, "is given twice, in two spellings");
                continue;
            }
            seen.push(field.number());
            let Some(value) = self.field(&field, json, &path) else { continue };
            match rival(&message, &field) {
                Some(rival) => {
                    self.violations.push(path, format!("cannot be given together with {}", rival.json_name()));
                }
                None => message.set_field(&field, value),
            }
        }
        message
    }
}

/// Another field of the same oneof that is set already.
pub(crate) fn rival(message: &DynamicMessage, field: &FieldDescriptor) -> Option<FieldDescriptor> {
    let oneof = field.containing_oneof()?;
    oneof.fields().find(|other| other != field && message.has_field(other))
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn takes_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(of) => of.full_name() == "google.protobuf.Value",
        Kind::Enum(of) => of.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

fn map_key(kind: &Kind, key: &str) -> Option<MapKey> {
    // A key is no enum.
    match text::value(kind, key, EnumNames::Whole).ok()? {
        Value::Bool(key) => Some(MapKey::Bool(key)),
        Value::I32(key) => Some(MapKey::I32(key)),
        Value::I64(key) => Some(MapKey::I64(key)),
        Value::U32(key) => Some(MapKey::U32(key)),
        Value::U64(key) => Some(MapKey::U64(key)),
        Value::String(key) => Some(MapKey::String(key)),
        _ => None,
    }
}

/// A whole number: `5`, `5.0`, `5e0`, or one of these in a string.
fn integer(json: &Json) -> Option<i128> {
    match json {
        Json::String(text) => text::whole_number(text),
        Json::Number(number) => {
            let exact = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            exact.or_else(|| number.as_f64().and_then(text::whole_double))
        }
        _ => None,
    }
}

fn number(json: &Json) -> Option<f64> {
    match json {
        Json::String(text) => text::double(text),
        Json::Number(number) => number.as_f64(),
        _ => None,
    }
}
