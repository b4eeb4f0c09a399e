//! What a field takes beyond its type: the option `comanda.http.v1.limits`.

use prost_reflect::{DynamicMessage, FieldDescriptor, Value};
use serde_json::Value as Json;
use std::borrow::Cow;

/// The limits of a field, of an element or of a header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    pub(crate) format: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) length_min: Option<i32>,
    pub(crate) length_max: Option<i32>,
    pub(crate) minimum: Option<i32>,
    pub(crate) maximum: Option<i32>,
    pub(crate) items: Option<Box<Limits>>,
    pub(crate) values: Vec<String>,
    pub(crate) example: Option<String>,
}

impl Limits {
    /// Those of a field.
    pub(crate) fn of(field: &FieldDescriptor) -> Self {
        let pool = field.parent_message().parent_pool().clone();
        let Some(extension) = pool.get_extension_by_name("comanda.http.v1.limits") else { return Limits::default() };
        let options = field.options();
        if !options.has_extension(&extension) {
            return Limits::default();
        }
        options.get_extension(&extension).as_message().map(Limits::read).unwrap_or_default()
    }

    /// Reads the option's message.
    pub(crate) fn read(message: &DynamicMessage) -> Self {
        let given =
            |name: &str| message.has_field_by_name(name).then(|| message.get_field_by_name(name))?.map(Cow::into_owned);
        let text = |name: &str| given(name)?.as_str().map(str::to_owned);
        let number = |name: &str| given(name)?.as_i32();
        let values = given("values").and_then(|values| {
            let values = values.as_list()?.iter();
            Some(values.filter_map(Value::as_str).map(str::to_owned).collect())
        });
        Limits {
            format: text("format"),
            pattern: text("pattern"),
            length_min: number("length_min"),
            length_max: number("length_max"),
            minimum: number("minimum"),
            maximum: number("maximum"),
            items: given("items").and_then(|items| Some(Box::new(Limits::read(items.as_message()?)))),
            values: values.unwrap_or_default(),
            example: text("example"),
        }
    }

    /// Adds the limits of a text to its schema.
    pub(crate) fn add_to_text(&self, schema: &mut Json) {
        for (key, text) in [("format", &self.format), ("pattern", &self.pattern)] {
            if let Some(text) = text {
                schema[key] = text.as_str().into();
            }
        }
        if !self.values.is_empty() {
            schema["enum"] = self.values.clone().into();
        }
        self.add_lengths(schema, ["minLength", "maxLength"]);
        if let Some(example) = &self.example {
            schema["examples"] = vec![example.clone()].into();
        }
    }

    /// Adds how many there can be of characters or elements.
    pub(crate) fn add_lengths(&self, schema: &mut Json, [least, most]: [&str; 2]) {
        for (key, number) in [(least, self.length_min), (most, self.length_max)] {
            if let Some(number) = number {
                schema[key] = number.into();
            }
        }
    }
}
