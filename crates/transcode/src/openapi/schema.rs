//! JSON schemas of messages and enums, in their proto3 JSON form.

use super::comments::comment;
use super::limits;
use crate::text::wrapped;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::{Map, Value as Json, json};

/// The component that describes errors.
pub(crate) const STATUS: &str = "google.rpc.Status";

/// The schemas that others refer to, by the full name of their message or enum.
#[derive(Debug)]
pub(crate) struct Components(Map<String, Json>);

impl Default for Components {
    fn default() -> Self {
        Components(Map::from_iter([(STATUS.to_owned(), status())]))
    }
}

impl Components {
    pub(crate) fn into_schemas(self) -> Map<String, Json> {
        self.0
    }

    /// The schema of a field, with its description.
    pub(crate) fn field(&mut self, field: &FieldDescriptor) -> Json {
        let mut schema = self.bare_field(field);
        let description = comment(&field.parent_message().parent_file(), field.path());
        if !description.is_empty() {
            schema["description"] = description.into();
        }
        if has_behavior(field, "OUTPUT_ONLY") {
            schema["readOnly"] = true.into();
        }
        schema
    }

    /// The schema of a field.
    pub(crate) fn bare_field(&mut self, field: &FieldDescriptor) -> Json {
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let values = self.bare_field(&entry.map_entry_value_field());
            return json!({"type": "object", "additionalProperties": values});
        }
        let schema = self.kind(&field.kind());
        let mut schema = if field.is_list() { json!({"type": "array", "items": schema}) } else { schema };
        limits::add(field, &mut schema);
        schema
    }

    /// The schema of a message: a reference, or the form of a well-known type.
    pub(crate) fn message(&mut self, of: &MessageDescriptor) -> Json {
        if let Some(inner) = wrapped(of) {
            return self.kind(&inner);
        }
        if let Some(schema) = well_known(of.full_name()) {
            return schema;
        }
        if !self.0.contains_key(of.full_name()) {
            // Taken before its fields are looked at, which may refer to it.
            self.0.insert(of.full_name().to_owned(), Json::Null);
            let (schema, _) = self.object(of, &[]);
            self.0.insert(of.full_name().to_owned(), schema);
        }
        reference(of.full_name())
    }

    /// The schema of a message of which some fields are given elsewhere, and whether any of the others is required.
    pub(crate) fn message_without(&mut self, of: &MessageDescriptor, without: &[FieldDescriptor]) -> (Json, bool) {
        if without.is_empty() {
            return (self.message(of), of.fields().any(|field| is_required(&field)));
        }
        self.object(of, without)
    }

    /// The schema of a message of which only some fields are given.
    pub(crate) fn partial(&mut self, of: &MessageDescriptor) -> Json {
        let (mut schema, _) = self.object(of, &[]);
        schema.as_object_mut().map(|schema| schema.remove("required"));
        schema
    }

    fn object(&mut self, of: &MessageDescriptor, without: &[FieldDescriptor]) -> (Json, bool) {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in of.fields().filter(|field| !without.contains(field)) {
            properties.insert(field.json_name().to_owned(), self.field(&field));
            if is_required(&field) {
                required.push(Json::from(field.json_name()));
            }
        }
        let is_required = !required.is_empty();
        let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if is_required {
            schema["required"] = required.into();
        }
        let description = comment(&of.parent_file(), of.path());
        if !description.is_empty() {
            schema["description"] = description.into();
        }
        (schema, is_required)
    }

    fn kind(&mut self, kind: &Kind) -> Json {
        match kind {
            Kind::Double => number("double"),
            Kind::Float => number("float"),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({"type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX})
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({"type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX})
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"})
            }
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64", "pattern": "^[0-9]+$"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "format": "byte"}),
            Kind::Enum(of) => self.enumeration(of),
            Kind::Message(of) => self.message(of),
        }
    }

    fn enumeration(&mut self, of: &EnumDescriptor) -> Json {
        if of.full_name() == "google.protobuf.NullValue" {
            return json!({"type": "null"});
        }
        if !self.0.contains_key(of.full_name()) {
            let names: Vec<Json> = of.values().map(|value| value.name().into()).collect();
            let meanings = of.values().filter_map(|value| {
                let meaning = comment(&of.parent_file(), value.path()).replace('\n', " ");
                (!meaning.is_empty()).then(|| format!("- `{}`: {meaning}", value.name()))
            });
            let lines: Vec<String> = std::iter::once(comment(&of.parent_file(), of.path())).chain(meanings).collect();
            let description = lines.join("\n");
            let schema = json!({"type": "string", "enum": names, "description": description.trim()});
            self.0.insert(of.full_name().to_owned(), schema);
        }
        reference(of.full_name())
    }
}

/// A reference to a component.
pub(crate) fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Whether a field must be given.
pub(crate) fn is_required(field: &FieldDescriptor) -> bool {
    has_behavior(field, "REQUIRED")
}

/// Whether a field has this `google.api.field_behavior` (AIP-203).
fn has_behavior(field: &FieldDescriptor, name: &str) -> bool {
    let pool = field.parent_message().parent_pool().clone();
    let Some(extension) = pool.get_extension_by_name("google.api.field_behavior") else { return false };
    let Kind::Enum(behaviors) = extension.kind() else { return false };
    let wanted = behaviors.get_value_by_name(name).map(|value| Value::EnumNumber(value.number()));
    let options = field.options();
    let given = options.get_extension(&extension);
    given.as_list().is_some_and(|given| given.iter().any(|behavior| Some(behavior) == wanted.as_ref()))
}

fn number(format: &str) -> Json {
    json!({"anyOf": [{"type": "number", "format": format}, {"enum": ["NaN", "Infinity", "-Infinity"]}]})
}

fn well_known(name: &str) -> Option<Json> {
    match name {
        "google.protobuf.Timestamp" => Some(json!({"type": "string", "format": "date-time"})),
        "google.protobuf.Duration" => {
            Some(json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$", "examples": ["1.5s"]}))
        }
        "google.protobuf.FieldMask" => Some(
            json!({"type": "string", "description": "Names of fields, separated by commas.", "examples": ["name"]}),
        ),
        "google.protobuf.Any" => {
            Some(json!({"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}}))
        }
        "google.protobuf.Struct" => Some(json!({"type": "object"})),
        "google.protobuf.ListValue" => Some(json!({"type": "array"})),
        "google.protobuf.Value" => Some(json!({})),
        "google.protobuf.Empty" => Some(json!({"type": "object", "additionalProperties": false})),
        _ => None,
    }
}

fn status() -> Json {
    json!({
        "type": "object",
        "description": "What went wrong: google.rpc.Status.",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "integer", "format": "int32", "description": "A google.rpc.Code."},
            "message": {"type": "string", "description": "What went wrong, in a sentence."},
            "details": {"type": "array", "items": {
                "type": "object",
                "description": "A message of google.rpc, such as BadRequest, ErrorInfo or RetryInfo.",
                "required": ["@type"],
                "properties": {"@type": {"type": "string"}},
            }},
        },
    })
}
