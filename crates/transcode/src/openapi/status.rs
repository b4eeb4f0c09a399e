//! The form of every error: a `google.rpc.Status` whose details have types.

use super::schema::{Components, Side, reference};
use crate::dialect::EnumNames;
use prost_reflect::DescriptorPool;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// The component that describes errors.
pub(crate) const STATUS: &str = "google.rpc.Status";
/// What details can be (AIP-193, `google/rpc/error_details.proto`).
const DETAILS: [&str; 10] = [
    "BadRequest",
    "DebugInfo",
    "ErrorInfo",
    "Help",
    "LocalizedMessage",
    "PreconditionFailure",
    "QuotaFailure",
    "RequestInfo",
    "ResourceInfo",
    "RetryInfo",
];

/// The schemas of an error and its details.
pub(crate) fn schemas() -> Map<String, Json> {
    let formats = BTreeMap::new();
    let mut components = Components::new(&formats, EnumNames::Whole);
    let pool = DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET);
    let pool = pool.expect("tonic-types tests that its descriptors are valid");
    let known = DETAILS.iter().filter_map(|name| pool.get_message_by_name(&format!("google.rpc.{name}")));
    let mut alternatives = Vec::new();
    let mut types = Vec::new();
    for message in known {
        let url = format!("type.googleapis.com/{}", message.full_name());
        let of_type = json!({"type": "object", "required": ["@type"], "properties": {"@type": {"const": url}}});
        alternatives.push(json!({"allOf": [of_type, components.message(&message, Side::Answer)]}));
        types.push(url);
    }
    alternatives.push(json!({
        "type": "object",
        "description": "A message of another type, or the bytes of one that is not known here.",
        "required": ["@type"],
        "properties": {"@type": {"type": "string", "not": {"enum": types}}},
    }));
    let mut schemas = components.into_schemas();
    // What is empty is left out of details.
    schemas.values_mut().filter_map(Json::as_object_mut).for_each(|schema| drop(schema.remove("required")));
    schemas.insert(STATUS.to_owned(), status(&alternatives));
    schemas.insert("StreamError".to_owned(), stream_error());
    schemas
}

fn status(details: &[Json]) -> Json {
    json!({
        "type": "object",
        "description": "What went wrong: google.rpc.Status.",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "integer", "format": "int32", "minimum": 1, "description": "A google.rpc.Code."},
            "message": {"type": "string", "description": "What went wrong, in a sentence."},
            "details": {"type": "array", "description": "The same for programs.", "items": {"anyOf": details}},
        },
    })
}

fn stream_error() -> Json {
    json!({
        "type": "object",
        "description": "The last of a stream that failed.",
        "required": ["error"],
        "properties": {"error": reference(STATUS)},
    })
}
