//! JSON schemas of messages and enums, in their proto3 JSON form.

use super::comments::{self, comment};
use super::limits::Limits;
use super::scalars;
use crate::dialect::EnumNames;
use crate::text::wrapped;
use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, Value,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// In a path, a query or a header, where all is text.
    Parameter,
    /// In the body of a request.
    Body,
    /// In an answer.
    Answer,
}

/// The schemas that others refer to, by their names.
#[derive(Debug)]
pub(crate) struct Components<'d> {
    schemas: Map<String, Json>,
    formats: &'d BTreeMap<String, Json>,
    enum_names: EnumNames,
}

impl<'d> Components<'d> {
    pub(crate) fn new(formats: &'d BTreeMap<String, Json>, enum_names: EnumNames) -> Self {
        Components { schemas: Map::new(), formats, enum_names }
    }

    pub(crate) fn schemas(&self) -> &Map<String, Json> {
        &self.schemas
    }

    pub(crate) fn into_schemas(self) -> Map<String, Json> {
        self.schemas
    }

    /// The schema of a field that is a whole body, or a parameter.
    pub(crate) fn field(&mut self, field: &FieldDescriptor, side: Side) -> Json {
        let limits = Limits::of(field);
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            return self.map(&entry, side);
        }
        if !field.is_list() {
            return self.value(&field.kind(), side, &limits, Zero::of(field, side));
        }
        let items = limits.items.as_deref().cloned().unwrap_or_default();
        let mut schema = json!({"type": "array", "items": self.value(&field.kind(), side, &items, Zero::Taken)});
        if side != Side::Answer {
            limits.add_lengths(&mut schema, ["minItems", "maxItems"]);
            if is_required(field) && schema.get("minItems").is_none() {
                schema["minItems"] = 1.into();
            }
        }
        schema
    }

    fn map(&mut self, entry: &MessageDescriptor, side: Side) -> Json {
        let values = self.value(&entry.map_entry_value_field().kind(), side, &Limits::default(), Zero::Taken);
        let mut schema = json!({"type": "object", "additionalProperties": values});
        let pattern = match entry.map_entry_key_field().kind() {
            Kind::String => None,
            Kind::Bool => Some("^(true|false)$".into()),
            keys => scalars::schema(&keys, Side::Body, &Limits::default()).map(|mut keys| keys["pattern"].take()),
        };
        if let (Some(pattern), true) = (pattern, side == Side::Body) {
            schema["propertyNames"] = json!({"pattern": pattern});
        }
        schema
    }

    /// The schema of a message: a reference, or the form of a well-known type.
    pub(crate) fn message(&mut self, of: &MessageDescriptor, side: Side) -> Json {
        self.value(&Kind::Message(of.clone()), side, &Limits::default(), Zero::Taken)
    }

    /// The schema of a message of which some fields are given elsewhere, and whether any of the others is required.
    pub(crate) fn message_without(&mut self, of: &MessageDescriptor, without: &[FieldDescriptor]) -> (Json, bool) {
        let is_required = of.fields().any(|field| !without.contains(&field) && is_required(&field));
        if without.is_empty() {
            return (self.message(of, Side::Body), is_required);
        }
        (self.object(of, Side::Body, &|field| !without.contains(field)), is_required)
    }

    /// The schema of what a PATCH changes of a message; what it does not give stays. `mask` is the field that could say so.
    pub(crate) fn changes(&mut self, of: &MessageDescriptor, mask: &FieldDescriptor) -> Json {
        let named = Limits::of(mask).values;
        let is_changed = |field: &FieldDescriptor| {
            let is_named = named.is_empty() || named.iter().any(|name| name.split('.').next() == Some(field.name()));
            is_named && !has_behavior(field, "OUTPUT_ONLY") && !has_behavior(field, "IMMUTABLE")
        };
        let mut properties = Map::new();
        for field in of.fields().filter(is_changed) {
            // To null is to clear it: to the default, if that is told from nothing given by the mask alone.
            let is_choice = matches!(field.kind(), Kind::Enum(_));
            let is_message = matches!(field.kind(), Kind::Message(_));
            let can_be_cleared = field.is_list() || is_message || !(field.supports_presence() || is_choice);
            let schema = match field.kind() {
                Kind::Enum(of) if !field.is_list() => self.names(&of, Side::Body, Zero::Refused),
                _ => self.field(&field, Side::Body),
            };
            let schema = if can_be_cleared && !is_required(&field) { nullable(schema) } else { schema };
            properties.insert(field.json_name().to_owned(), described(schema, &field));
        }
        json!({"type": "object", "properties": properties, "additionalProperties": false})
    }

    fn object(&mut self, of: &MessageDescriptor, side: Side, is_here: &dyn Fn(&FieldDescriptor) -> bool) -> Json {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in of.fields().filter(is_here) {
            let schema = self.field(&field, side);
            let can_be_null = side == Side::Body && !is_required(&field);
            let schema = if can_be_null { nullable(schema) } else { schema };
            properties.insert(field.json_name().to_owned(), described(schema, &field));
            let is_always_there = match side {
                Side::Answer => !field.supports_presence(),
                Side::Parameter | Side::Body => is_required(&field),
            };
            if is_always_there {
                required.push(field.json_name().to_owned());
            }
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if side == Side::Body {
            schema["additionalProperties"] = false.into();
            let choices: Vec<Json> = of.oneofs().filter(|oneof| !oneof.is_synthetic()).map(|it| choice(&it)).collect();
            if !choices.is_empty() {
                schema["allOf"] = choices.into();
            }
        }
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        let description = comment(&of.parent_file(), of.path());
        if !description.is_empty() {
            schema["description"] = description.into();
        }
        schema
    }

    /// The schema of one value: of a singular field, an element, or an entry.
    fn value(&mut self, kind: &Kind, side: Side, limits: &Limits, zero: Zero) -> Json {
        if let Some(schema) = limits.format.as_ref().filter(|_| side != Side::Answer).and_then(|it| self.format(it)) {
            return schema;
        }
        match kind {
            Kind::Enum(of) => self.enumeration(of, side, zero),
            Kind::Message(of) => match wrapped(of) {
                Some(inner) => self.value(&inner, side, limits, Zero::Taken),
                None => scalars::well_known(of.full_name(), side, limits).unwrap_or_else(|| self.component(of, side)),
            },
            kind => {
                let mut schema = scalars::schema(kind, side, limits).unwrap_or_default();
                let is_text = matches!(kind, Kind::String | Kind::Bytes);
                if zero == Zero::Refused && is_text && schema.get("minLength").is_none() {
                    schema["minLength"] = 1.into();
                }
                schema
            }
        }
    }

    fn component(&mut self, of: &MessageDescriptor, side: Side) -> Json {
        let side = if side == Side::Answer { side } else { Side::Body };
        let name = name(of.full_name(), side);
        if !self.schemas.contains_key(&name) {
            // Taken before its fields are looked at, which may refer to it.
            self.schemas.insert(name.clone(), Json::Null);
            let schema = self.object(of, side, &|_| true);
            self.schemas.insert(name.clone(), schema);
        }
        reference(&name)
    }

    fn format(&mut self, format: &str) -> Option<Json> {
        let name = format!("{format}-Format");
        self.schemas.entry(name.clone()).or_insert(self.formats.get(format)?.clone());
        Some(reference(&name))
    }

    fn enumeration(&mut self, of: &EnumDescriptor, side: Side, zero: Zero) -> Json {
        if of.full_name() == "google.protobuf.NullValue" {
            return json!({"type": "null"});
        }
        if zero == Zero::Refused {
            return self.names(of, side, zero);
        }
        let name = name(of.full_name(), side);
        if !self.schemas.contains_key(&name) {
            let mut schema = self.names(of, side, zero);
            let meanings = of.values().filter_map(|value| {
                let meaning = comment(&of.parent_file(), value.path()).replace('\n', " ");
                (!meaning.is_empty()).then(|| format!("- `{}`: {meaning}", self.enum_names.name(&value)))
            });
            let lines: Vec<String> = std::iter::once(comment(&of.parent_file(), of.path())).chain(meanings).collect();
            let description = lines.join("\n").trim().to_owned();
            if !description.is_empty() {
                schema["description"] = description.into();
            }
            self.schemas.insert(name.clone(), schema);
        }
        reference(&name)
    }

    /// The names of an enum, where nothing refers to them.
    fn names(&self, of: &EnumDescriptor, side: Side, zero: Zero) -> Json {
        let values: Vec<_> = of.values().filter(|value| zero == Zero::Taken || value.number() != 0).collect();
        let names = values.iter().map(|value| Json::from(self.enum_names.name(value)));
        match side {
            Side::Answer => json!({"type": "string", "enum": names.collect::<Vec<_>>()}),
            // Numbers are taken as well.
            Side::Parameter | Side::Body => {
                let mut numbers: Vec<i32> = values.iter().map(EnumValueDescriptor::number).collect();
                numbers.dedup();
                json!({"enum": names.chain(numbers.into_iter().map(Json::from)).collect::<Vec<_>>()})
            }
        }
    }
}

/// Whether a field takes the default of its kind, which without presence is as if it were not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zero {
    Taken,
    Refused,
}

impl Zero {
    fn of(field: &FieldDescriptor, side: Side) -> Self {
        let must_be_given = is_required(field) && !field.supports_presence();
        if side != Side::Answer && must_be_given { Zero::Refused } else { Zero::Taken }
    }
}

/// The name of a component.
fn name(full_name: &str, side: Side) -> String {
    match side {
        Side::Answer => full_name.to_owned(),
        Side::Parameter | Side::Body => format!("{full_name}-Input"),
    }
}

/// A reference to a component.
pub(crate) fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The same, or null.
fn nullable(mut schema: Json) -> Json {
    if schema.as_object().is_some_and(Map::is_empty) {
        return schema;
    }
    match (schema.get_mut("type").map(Json::take), schema.get_mut("enum")) {
        (None, Some(Json::Array(values))) => {
            values.push(Json::Null);
            schema
        }
        (None, _) => json!({"anyOf": [schema, {"type": "null"}]}),
        (Some(types), values) => {
            if let Some(Json::Array(values)) = values {
                values.push(Json::Null);
            }
            let mut types = match types {
                Json::Array(types) => types,
                one => vec![one],
            };
            if !types.contains(&"null".into()) {
                types.push("null".into());
            }
            schema["type"] = types.into();
            schema
        }
    }
}

/// At most one of the fields of a oneof.
fn choice(oneof: &OneofDescriptor) -> Json {
    let given: Vec<Json> = oneof.fields().map(|field| json!({"required": [field.json_name()]})).collect();
    let none = json!({"not": {"anyOf": given}});
    json!({"oneOf": given.into_iter().chain([none]).collect::<Vec<_>>()})
}

/// The schema with what the comment of the field says.
pub(crate) fn described(mut schema: Json, field: &FieldDescriptor) -> Json {
    let description = comment(&field.parent_message().parent_file(), field.path());
    let is_text =
        schema["type"] == "string" && ["enum", "pattern", "format"].iter().all(|key| schema.get(key).is_none());
    if let Some(example) = comments::example(&description).filter(|_| is_text && schema.get("examples").is_none()) {
        schema["examples"] = json!([example]);
    }
    if !description.is_empty() {
        schema["description"] = description.into();
    }
    if has_behavior(field, "OUTPUT_ONLY") {
        schema["readOnly"] = true.into();
    }
    schema
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
