//! Describes the routes as OpenAPI 3.1: what is bound where, and every answer that can come.
//!
//! Messages are components and refer to each other, so that a message which holds itself is described once. What stands in comments
//! of the `.proto` files stands here as descriptions.

mod comments;
mod limits;
mod parameters;
mod schema;

use crate::rule::{Body, Route, as_message};
use crate::transcoder::Transcoder;
use comments::comment;
use schema::{Components, reference};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// What an OpenAPI document says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The name of the API.
    pub title: String,
    /// The version of the API.
    pub version: String,
    /// What it is for.
    pub description: String,
}

impl Transcoder {
    /// Describes every route as OpenAPI 3.1. The same descriptors give the same text.
    #[must_use]
    pub fn openapi(&self, document: &Document) -> Json {
        let mut components = Components::default();
        let mut paths: Map<String, Json> = Map::new();
        let mut tags = Vec::new();
        let mut operation_ids = Vec::new();
        let mut names_by_shape = BTreeMap::new();
        for route in self.router.targets() {
            let service = route.rpc.descriptor.parent_service();
            let tag = json!({"name": service.name(), "description": comment(&service.parent_file(), service.path())});
            if !tags.contains(&tag) {
                tags.push(tag);
            }
            // Paths that differ only in the names of their variables are one path (OpenAPI 3.1, "Paths Object").
            let names = names_by_shape.entry(path(route, &[])).or_insert_with(|| parameters::path_names(route));
            let mut operation = operation(route, names, &mut components);
            operation["operationId"] = operation_id(route, &mut operation_ids).into();
            let item = paths.entry(path(route, names)).or_insert_with(|| json!({}));
            item[route.method.as_str().to_ascii_lowercase()] = operation;
        }
        json!({
            "openapi": "3.1.0",
            "info": {"title": document.title, "version": document.version, "description": document.description},
            "servers": [{"url": "/"}],
            "tags": tags,
            "paths": paths,
            "components": {"schemas": components.into_schemas(), "responses": {"Error": error()}},
        })
    }
}

/// The path with these names of its variables.
fn path(route: &Route, names: &[String]) -> String {
    let mut names = names.iter();
    let mut path = String::new();
    let mut at = 0;
    while at < route.template.segments.len() {
        path.push('/');
        match route.template.variables.iter().find(|variable| variable.segments.start == at) {
            Some(variable) => {
                path.push_str(&format!("{{{}}}", names.next().map_or("", String::as_str)));
                at = variable.segments.end;
            }
            None => {
                path.push_str(match &route.template.segments[at] {
                    crate::template::Segment::Literal(literal) => literal,
                    crate::template::Segment::One => "*",
                    crate::template::Segment::Many => "**",
                });
                at += 1;
            }
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    if let Some(verb) = &route.template.verb {
        path.push(':');
        path.push_str(verb);
    }
    path
}

/// `Service_Method`, and a number for a further binding of the same method.
fn operation_id(route: &Route, taken: &mut Vec<String>) -> String {
    let descriptor = &route.rpc.descriptor;
    let id = format!("{}_{}", descriptor.parent_service().name(), descriptor.name());
    let count = taken.iter().filter(|other| **other == id).count();
    taken.push(id.clone());
    if count == 0 { id } else { format!("{id}_{}", count + 1) }
}

fn operation(route: &Route, path_names: &[String], components: &mut Components) -> Json {
    let descriptor = &route.rpc.descriptor;
    let mut operation = json!({
        "tags": [descriptor.parent_service().name()],
        "description": comment(&descriptor.parent_service().parent_file(), descriptor.path()),
        "parameters": parameters::of(route, path_names, components),
        "responses": responses(route, components),
    });
    if let Some(body) = request_body(route, components) {
        operation["requestBody"] = body;
    }
    operation
}

fn request_body(route: &Route, components: &mut Components) -> Option<Json> {
    let (schema, is_required) = match &route.body {
        Body::None => return None,
        Body::Whole => {
            let bound: Vec<_> = route.variables.iter().filter(|path| path.len() == 1).flatten().cloned().collect();
            components.message_without(&route.rpc.input, &bound)
        }
        Body::Field(field) => match (as_message(field), &route.update_mask) {
            (Some(of), Some(_)) => (components.partial(&of), schema::is_required(field)),
            _ => (components.field(field), schema::is_required(field)),
        },
    };
    let is_raw = schema == reference("google.api.HttpBody");
    let content = match (is_raw, route.rpc.is_upload()) {
        (true, _) => json!({"*/*": {}}),
        (false, false) => json!({"application/json": {"schema": schema}}),
        (false, true) => json!({
            "application/json": {"schema": {"type": "array", "items": schema}},
            "application/x-ndjson": {"schema": {"type": "string", "description": "One JSON document a line, each an element."}},
        }),
    };
    Some(json!({"required": is_required, "content": content}))
}

fn responses(route: &Route, components: &mut Components) -> Json {
    let mut responses = json!({});
    responses[route.success().as_str()] = success(route, components);
    if route.rpc.resumable.is_some() {
        responses["204"] = json!({"description": "The stream was resumed after its last message; do not come again."});
    }
    let mut errors = vec!["400", "404", "405", "409", "429", "500", "503", "504", "default"];
    if route.body != Body::None {
        errors.extend(["408", "413", "415"]);
    }
    if route.rpc.is_stream() {
        errors.push("406");
    }
    for error in errors {
        responses[error] = json!({"$ref": "#/components/responses/Error"});
    }
    responses
}

fn success(route: &Route, components: &mut Components) -> Json {
    let schema = match &route.response_body {
        Body::None | Body::Whole => components.message(&route.rpc.output),
        Body::Field(field) => components.field(field),
    };
    if route.is_raw {
        return json!({"description": "The bytes, in their own media type.", "content": {"*/*": {}}});
    }
    if route.rpc.is_stream() {
        let message = schema["$ref"].as_str().unwrap_or("a message");
        let lines =
            format!("One JSON document a line, each {message}; an error is the last line, {{\"error\": Status}}.");
        let events =
            format!("Events whose data is {message}; the last one, `event: status`, has a Status as its data.");
        let array = "One array of the same; an error is its last element, {\"error\": Status}.";
        return json!({"description": "The messages, as they come.", "content": {
            "application/json": {"schema": {"type": "array", "items": {}, "description": array}},
            "application/x-ndjson": {"schema": {"type": "string", "description": lines}},
            "text/event-stream": {"schema": {"type": "string", "description": events}},
        }});
    }
    let mut success = json!({"description": "Success.", "content": {"application/json": {"schema": schema}}});
    if route.rpc.location.is_some() {
        success["description"] = "Created.".into();
        success["headers"] = json!({"Location": {
            "description": "Where it can be got.",
            "schema": {"type": "string", "format": "uri-reference"},
        }});
    }
    success
}

/// Every error, of the transcoder and of a service, has this form.
fn error() -> Json {
    json!({
        "description": "What went wrong, as a google.rpc.Status.",
        "headers": {"Retry-After": {
            "description": "Seconds after which the call may succeed.",
            "schema": {"type": "integer", "minimum": 0},
        }},
        "content": {"application/json": {"schema": reference(schema::STATUS)}},
    })
}
