//! A value that a schema takes, to be pasted: what is required and what has an example, or everything where nothing is required.

use serde_json::{Map, Value as Json, json};

/// Objects and arrays within each other at most; an example that is deeper is cut there.
const DEPTH_MAX: usize = 6;
/// An id that nobody has.
const UUID: &str = "0199d2a4-6c00-7000-8000-000000000001";

/// A value that the schema takes. `components` are those that it refers to.
pub(crate) fn of(schema: &Json, components: &Map<String, Json>) -> Json {
    value(schema, components, 0)
}

fn value(schema: &Json, components: &Map<String, Json>, depth: usize) -> Json {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return components.get(name).map_or(Json::Null, |schema| value(schema, components, depth));
    }
    if let Some(example) = schema["examples"].get(0).or_else(|| schema.get("const")) {
        return example.clone();
    }
    if let Some(values) = schema["enum"].as_array() {
        // The first is the default, which says the least.
        return values.get(1).or_else(|| values.first()).cloned().unwrap_or_default();
    }
    if let Some(first) = schema["anyOf"].get(0) {
        return value(first, components, depth);
    }
    match schema["type"].as_str().or_else(|| schema["type"][0].as_str()) {
        Some("object") if depth < DEPTH_MAX => object(schema, components, depth),
        Some("object") => json!({}),
        Some("array") if depth < DEPTH_MAX && schema["minItems"].as_u64().is_some_and(|least| least > 0) => {
            json!([value(&schema["items"], components, depth + 1)])
        }
        Some("array") => json!([]),
        Some("string") => text(schema).into(),
        Some("integer" | "number") => schema["minimum"].as_i64().filter(|least| *least > 0).unwrap_or(1).into(),
        Some("boolean") => true.into(),
        _ => Json::Null,
    }
}

fn object(schema: &Json, components: &Map<String, Json>, depth: usize) -> Json {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let is_shown = |name: &str, property: &Json| match (property["readOnly"] == true, required.is_empty()) {
        (true, _) => false,
        (false, true) => depth < 2 && property.get("$ref").is_none() && property.get("anyOf").is_none(),
        (false, false) => required.contains(&name) || property.get("examples").is_some(),
    };
    let mut shown: Map<String, Json> = Map::new();
    for (name, property) in properties.iter().filter(|(name, property)| is_shown(name, property)) {
        if !is_rival(schema, name, &shown) {
            shown.insert(name.clone(), value(property, components, depth + 1));
        }
    }
    shown.into()
}

/// Whether another member of the same oneof is there.
fn is_rival(schema: &Json, name: &str, shown: &Map<String, Json>) -> bool {
    schema["allOf"].as_array().into_iter().flatten().any(|choice| {
        let members = choice["oneOf"].as_array().into_iter().flatten().filter_map(|it| it["required"][0].as_str());
        let members: Vec<&str> = members.collect();
        members.contains(&name) && members.iter().any(|member| shown.contains_key(*member))
    })
}

fn text(schema: &Json) -> &'static str {
    match (schema["format"].as_str(), schema["pattern"].as_str()) {
        (Some("uuid"), _) => UUID,
        (Some("date-time"), _) => "2030-01-31T18:30:00Z",
        (Some("byte"), _) => "dGV4dA==",
        (Some("int64" | "uint64"), _) => "1",
        (_, Some(pattern)) if pattern.starts_with("^-?[0-9]") || pattern.starts_with("^[0-9]") => "1",
        // Of a field mask or another text that may be empty.
        (_, Some(pattern)) if pattern.ends_with(")?$") || pattern.ends_with("*$") => "",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: &Json, expected: &Json) {
        let components =
            json!({"deep": {"type": "object", "required": ["deep"], "properties": {"deep": {"$ref": "#/x/deep"}}}});
        assert_eq!(of(schema, components.as_object().unwrap()), *expected);
    }

    #[test]
    fn what_is_required_or_has_an_example_is_shown() {
        let name = json!({"type": "string", "examples": ["Ada"]});
        let properties = json!({"name": name, "id": {"type": "string", "format": "uuid"}, "note": {"type": "string"}});
        check(
            &json!({"type": "object", "required": ["id"], "properties": properties}),
            &json!({"name": "Ada", "id": UUID}),
        );
    }

    #[test]
    fn everything_is_shown_where_nothing_is_required_but_one_member_of_each_choice() {
        let properties = json!({
            "a": {"type": ["integer", "string", "null"], "minimum": -5}, "b": {"type": "boolean"}, "c": {"enum": ["NO", "YES"]},
            "d": {"type": "string", "readOnly": true},
        });
        let choice = json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}, {"not": {}}]});
        check(&json!({"type": "object", "properties": properties, "allOf": [choice]}), &json!({"a": 1, "c": "YES"}));
    }

    #[test]
    fn what_holds_itself_is_cut() {
        let mut expected = json!({});
        for _ in 0..DEPTH_MAX {
            expected = json!({"deep": expected});
        }
        check(&json!({"$ref": "#/x/deep"}), &expected);
    }
}
