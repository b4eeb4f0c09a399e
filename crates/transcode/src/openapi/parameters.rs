//! The parameters of an operation: what is bound by its path, its query and its headers.

use super::comments::comment;
use super::schema::{Components, is_required};
use crate::query::{bindable, has_text_form};
use crate::rule::{FieldPath, Route, as_message};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Value as Json, json};

/// Fields within fields that are described as parameters; deeper ones, and those that repeat a message, are bound nevertheless.
const DEPTH_MAX: usize = 3;

/// Every parameter of a route.
pub(crate) fn of(route: &Route, path_names: &[String], components: &mut Components) -> Vec<Json> {
    let mut parameters = Vec::new();
    for (path, name) in route.variables.iter().zip(path_names) {
        parameters.push(parameter("path", name, path, components));
    }
    let mut path = FieldPath::new();
    below(route, &route.rpc.input, &mut path, &mut |path| {
        parameters.push(parameter("query", &name(path), path, components));
    });
    if let Some(resumable) = &route.rpc.resumable {
        parameters.push(json!({
            "name": "Last-Event-ID",
            "in": "header",
            "required": false,
            "description": "The `id` of the last event that was seen; the stream goes on after it.",
            "schema": components.field(&resumable.resume_after),
        }));
    }
    parameters
}

/// The names of the variables of a route's path: of their last fields, or the whole paths where those are not enough.
pub(crate) fn path_names(route: &Route) -> Vec<String> {
    let last = |path: &FieldPath| path.last().map(|field| field.json_name().to_owned()).unwrap_or_default();
    let names: Vec<String> = route.variables.iter().map(last).collect();
    let is_unique = names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1);
    if is_unique { names } else { route.variables.iter().map(name).collect() }
}

/// A field path in JSON names.
fn name(path: &FieldPath) -> String {
    path.iter().map(FieldDescriptor::json_name).collect::<Vec<_>>().join(".")
}

/// Visits every field that a query of the route can hold.
fn below(route: &Route, of: &MessageDescriptor, path: &mut FieldPath, visit: &mut impl FnMut(&FieldPath)) {
    for field in of.fields() {
        let is_repeated_message = path.iter().any(|outer| outer.parent_message() == of) && !path.is_empty();
        let inner = as_message(&field).filter(|inner| !has_text_form(inner));
        let is_message = matches!(field.kind(), Kind::Message(message) if !has_text_form(&message));
        path.push(field.clone());
        if bindable(route, path).is_ok() && !field.is_map() {
            match inner {
                Some(inner) if path.len() < DEPTH_MAX && !is_repeated_message => below(route, &inner, path, visit),
                _ if is_message => {}
                _ => visit(path),
            }
        }
        path.pop();
    }
}

fn parameter(place: &str, name: &str, path: &FieldPath, components: &mut Components) -> Json {
    let last = path.last().expect("a parameter names a field");
    let mut schema = components.bare_field(last);
    if place == "path" && schema["type"] == "string" {
        schema["minLength"] = 1.into();
    }
    if matches!(last.kind(), Kind::Enum(_)) && !last.is_list() {
        schema = json!({"anyOf": [schema, {"type": "integer", "format": "int32"}]});
    }
    json!({
        "name": name,
        "in": place,
        "required": place == "path" || path.iter().all(is_required),
        "description": comment(&last.parent_message().parent_file(), last.path()),
        "schema": schema,
    })
}
