//! What a field takes beyond its type: the option `comanda.http.v1.limits`.

use prost_reflect::{DynamicMessage, FieldDescriptor};
use serde_json::Value as Json;
use std::borrow::Cow;

/// Adds the limits of a field to its schema.
pub(crate) fn add(field: &FieldDescriptor, schema: &mut Json) {
    let pool = field.parent_message().parent_pool().clone();
    let Some(extension) = pool.get_extension_by_name("comanda.http.v1.limits") else { return };
    let options = field.options();
    let limits = options.get_extension(&extension);
    let Some(limits) = limits.as_message().filter(|_| options.has_extension(&extension)) else { return };
    for key in ["format", "pattern"] {
        if let Some(text) = given(limits, key).and_then(|value| value.as_str().map(str::to_owned)) {
            schema[key] = text.into();
        }
    }
    let (least, most) = if field.is_list() { ("minItems", "maxItems") } else { ("minLength", "maxLength") };
    for (name, key) in [("length_min", least), ("length_max", most), ("minimum", "minimum"), ("maximum", "maximum")] {
        if let Some(number) = given(limits, name).and_then(|value| value.as_i32()) {
            schema[key] = number.into();
        }
    }
}

fn given(limits: &DynamicMessage, name: &str) -> Option<prost_reflect::Value> {
    limits.has_field_by_name(name).then(|| limits.get_field_by_name(name))?.map(Cow::into_owned)
}
