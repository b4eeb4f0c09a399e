//! One operation: a route as a client sees it.

use super::comments::{comment, markdown, summary};
use super::document::Document;
use super::example;
use super::parameters::{self, DESCRIBED_MAX};
use super::path::Piece;
use super::responses;
use super::schema::{self, Components, Side};
use crate::rule::{Body, Route, as_message};
use serde_json::{Value as Json, json};

/// The operation of a route.
pub(crate) fn of(
    route: &Route,
    path: (&[Piece<'_>], &[String]),
    document: &Document,
    components: &mut Components<'_>,
) -> Json {
    let descriptor = &route.rpc.descriptor;
    let service = descriptor.parent_service();
    let mut description = markdown(&comment(&service.parent_file(), descriptor.path()));
    let (parameters, is_cut) = parameters::of(route, path, document, components);
    if is_cut {
        description
            .push_str(&format!("\n\nThe query takes more than the {DESCRIBED_MAX} parameters that are described."));
    }
    let mut operation = json!({
        "tags": [service.full_name()],
        "summary": summary(&description),
        "description": description,
        "parameters": parameters,
        "responses": responses::of(route, document, components),
    });
    if let Some(body) = request_body(route, components) {
        operation["requestBody"] = body;
    }
    if is_deprecated(route) {
        operation["deprecated"] = true.into();
    }
    operation
}

fn is_deprecated(route: &Route) -> bool {
    let options = route.rpc.descriptor.options();
    let deprecated = options.get_field_by_name("deprecated");
    deprecated.and_then(|deprecated| deprecated.as_bool()).unwrap_or_default()
}

fn request_body(route: &Route, components: &mut Components<'_>) -> Option<Json> {
    if route.body == Body::None {
        return None;
    }
    if route.raw_body.is_some() {
        return Some(raw_body(route, components));
    }
    let (schema, is_required) = body(route, components);
    let example = example::of(&schema, components.schemas());
    let content = if route.rpc.is_upload {
        json!({
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "One JSON document a line, each a message."},
                "x-itemSchema": schema,
                "example": format!("{example}\n"),
            },
            "application/json": {"schema": {"type": "array", "items": schema}, "example": [example]},
        })
    } else {
        json!({"application/json": {"schema": schema, "example": example}})
    };
    Some(json!({"required": is_required, "content": content}))
}

/// The schema of one message of a body, and whether it must be there.
fn body(route: &Route, components: &mut Components<'_>) -> (Json, bool) {
    match &route.body {
        Body::None | Body::Whole => {
            let bound: Vec<_> = route.variables.iter().filter(|path| path.len() == 1).flatten().cloned().collect();
            components.message_without(&route.rpc.input, &bound)
        }
        Body::Field(field) => match (as_message(field), &route.update_mask) {
            // Without a body nothing changes.
            (Some(of), Some(mask)) => (components.changes(&of, mask), false),
            _ => (components.field(field, Side::Body), schema::is_required(field)),
        },
    }
}

/// A body of any type, or a form with one file, whose other fields are parameters.
fn raw_body(route: &Route, components: &mut Components<'_>) -> Json {
    let description = "The bytes as they are, under their own media type; of a form, those of its one file.";
    if route.rpc.is_upload {
        return json!({"required": false, "description": description, "content": {"*/*": {}}});
    }
    let mut properties = parameters::form_fields(route, components);
    properties.insert("file".to_owned(), json!({"type": "string", "contentMediaType": "application/octet-stream"}));
    let form = json!({
        "type": "object",
        "required": ["file"],
        "properties": properties,
        "additionalProperties": false,
    });
    json!({
        "required": false,
        "description": description,
        "content": {
            "application/octet-stream": {},
            "multipart/form-data": {"schema": form},
            "*/*": {},
        },
    })
}
