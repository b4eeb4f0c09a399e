//! The parameters of an operation: what is bound by its path, its query and its headers.

use super::comments::comment;
use super::document::Document;
use super::example;
use super::limits::Limits;
use super::path::{Piece, dotted};
use super::schema::{Components, Side, is_required};
use crate::etag;
use crate::query::{bindable, has_text_form};
use crate::rule::{Body, FieldPath, Route, as_message};
use http::Method;
use prost_reflect::prost_types::MethodOptions;
use prost_reflect::prost_types::method_options::IdempotencyLevel;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::VecDeque;

/// Fields within fields that are described as parameters; deeper ones, and those that repeat a message, are bound nevertheless.
const DEPTH_MAX: usize = 3;
/// Parameters of a query that are described; more are bound nevertheless. Twice what the widest list methods have.
pub(crate) const DESCRIBED_MAX: usize = 100;

/// Seconds from half a one on: less is taken as well, and is too little for many a call.
const REQUEST_TIMEOUT: &str = "^(0\\.[5-9]|[1-9][0-9]{0,4}(\\.[0-9]{1,3})?)$";

/// Every parameter of a route, and whether its query has more than are described.
pub(crate) fn of(
    route: &Route,
    (pieces, names): (&[Piece<'_>], &[String]),
    document: &Document,
    components: &mut Components<'_>,
) -> (Vec<Json>, bool) {
    let mut parameters = in_path(pieces, names, components);
    let (bound, is_cut) = in_query(route);
    for path in &bound {
        parameters.push(field_parameter("query", &dotted(path), path, components));
    }
    if let Some(resumable) = &route.rpc.resumable {
        parameters.push(json!({
            "name": "Last-Event-ID",
            "in": "header",
            "required": false,
            "description": "The `id` of the last event that was seen; the stream goes on after it, and the query's value does not count.",
            "schema": components.field(&resumable.resume_after, Side::Parameter),
        }));
    }
    parameters.extend(declared_headers(route));
    parameters.extend(
        common(route, document).into_iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")})),
    );
    (parameters, is_cut)
}

fn in_path(pieces: &[Piece<'_>], names: &[String], components: &mut Components<'_>) -> Vec<Json> {
    let variables = pieces.iter().filter(|piece| !matches!(piece, Piece::Literal(_)));
    let parameter = |(piece, name): (&Piece<'_>, &String)| match piece {
        Piece::Field(path) => field_parameter("path", name, path, components),
        Piece::Part(path, pattern) => {
            segment(name, &format!("The value of a wildcard of `{}`, which is `{pattern}`.", dotted(path)))
        }
        Piece::Literal(_) | Piece::Unbound => segment(name, "Anything."),
    };
    variables.zip(names).map(parameter).collect()
}

fn segment(name: &str, description: &str) -> Json {
    let schema = json!({"type": "string", "minLength": 1});
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema, "example": "1"})
}

/// Every field that a query of the route can hold, those of outer messages first, so that nothing grows with how deep or wide they are.
fn in_query(route: &Route) -> (Vec<FieldPath>, bool) {
    let mut bound = Vec::new();
    let mut messages = VecDeque::from([(route.rpc.input.clone(), FieldPath::new())]);
    while let Some((of, outer)) = messages.pop_front() {
        for field in of.fields().filter(|field| !field.is_map()) {
            let mut path = outer.clone();
            path.push(field.clone());
            if bindable(route, &path).is_err() {
                continue;
            }
            let is_plain = !matches!(field.kind(), Kind::Message(message) if !has_text_form(&message));
            if is_plain {
                if bound.len() == DESCRIBED_MAX {
                    return (bound, true);
                }
                bound.push(path);
            } else if let Some(inner) =
                as_message(&field).filter(|inner| !outer.iter().any(|it| it.parent_message() == inner))
                && path.len() < DEPTH_MAX
                && inner != of
                && !is_of_json(&inner)
            {
                messages.push_back((inner, path));
            }
        }
    }
    (bound, false)
}

/// Whether a message has a form of its own in JSON, and none as text.
fn is_of_json(message: &prost_reflect::MessageDescriptor) -> bool {
    crate::decode::is_well_known(message.full_name())
}

fn field_parameter(place: &str, name: &str, path: &FieldPath, components: &mut Components<'_>) -> Json {
    let last = path.last().expect("a parameter names a field");
    let mut schema = components.field(last, Side::Parameter);
    let is_required = place == "path" || path.iter().all(is_required);
    if place == "path" && schema["type"] == "string" && schema.get("minLength").is_none() {
        schema["minLength"] = 1.into();
    }
    let mut parameter = json!({
        "name": name,
        "in": place,
        "required": is_required,
        "description": comment(&last.parent_message().parent_file(), last.path()),
        "schema": schema,
    });
    if is_required {
        parameter["example"] = example::of(&parameter["schema"], components.schemas());
    }
    parameter
}

/// The headers that the method says it reads: the option `comanda.http.v1.headers`.
fn declared_headers(route: &Route) -> Vec<Json> {
    let method = &route.rpc.descriptor;
    let Some(extension) = method.parent_pool().get_extension_by_name("comanda.http.v1.headers") else {
        return Vec::new();
    };
    let options = method.options();
    let declared = options.get_extension(&extension);
    let headers = declared.as_list().unwrap_or_default().iter().filter_map(Value::as_message);
    headers.map(declared_header).collect()
}

fn declared_header(header: &DynamicMessage) -> Json {
    let text = |name: &str| {
        let value = header.get_field_by_name(name);
        value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let mut schema = json!({"type": "string"});
    if let Some(limits) = header.get_field_by_name("limits").as_deref().and_then(Value::as_message) {
        Limits::read(limits).add_to_text(&mut schema);
    }
    json!({
        "name": text("name"),
        "in": "header",
        "required": false,
        "description": text("description"),
        "schema": schema,
    })
}

/// The names of the parameters that many operations have.
fn common(route: &Route, document: &Document) -> Vec<&'static str> {
    let is_unary = !route.rpc.is_stream && !route.rpc.is_upload;
    let is_get = route.method == Method::GET;
    let mut names = vec!["Request-Timeout"];
    if keeps_answers(route, document) {
        names.push("Idempotency-Key");
    }
    if is_tagged(route) {
        names.push("If-None-Match");
    }
    if names_version(route) {
        names.push("If-Match");
    }
    if route.is_raw && is_unary && is_get {
        names.extend(["Range", "If-Range"]);
    }
    names
}

/// Whether answers of the route have an `ETag`.
pub(crate) fn is_tagged(route: &Route) -> bool {
    route.method == Method::GET && !route.rpc.is_stream && !route.rpc.is_upload
}

/// Whether a change can name the version that it is of.
pub(crate) fn names_version(route: &Route) -> bool {
    route.method != Method::GET && etag::field(route).is_some()
}

/// Whether answers of the route are kept by keys: of what changes something, and does not recognise repeated calls by itself.
pub(crate) fn keeps_answers(route: &Route, document: &Document) -> bool {
    let rpc = &route.rpc;
    let options = rpc.descriptor.method_descriptor_proto().options.as_ref();
    let changes = options.map(MethodOptions::idempotency_level) != Some(IdempotencyLevel::NoSideEffects);
    let recognises_repeats = rpc.input.get_field_by_name("request_id").is_some()
        || document.recognise_repeats.iter().any(|beginning| rpc.descriptor.full_name().starts_with(beginning));
    document.guards.keeps_answers && !rpc.is_stream && !rpc.is_upload && changes && !recognises_repeats
}

/// The components that [`common`] names.
pub(crate) fn components() -> Map<String, Json> {
    let visible = json!({"type": "string", "pattern": "^[!-~]+$", "maxLength": 255});
    [
        (
            "Request-Timeout",
            "Seconds after which the call is given up, with 504; more than the gateway grants is cut to that.",
            json!({"type": "string", "pattern": REQUEST_TIMEOUT}),
        ),
        (
            "Idempotency-Key",
            "Makes a repeated call safe: the same key and request give the same answer.",
            visible.clone(),
        ),
        // Whatever else it holds is no tag, and nothing is known then.
        ("If-None-Match", "The `ETag` of what is known; 304 when it is still the same.", json!({"type": "string"})),
        ("If-Match", "The `ETag` of what is to be changed; 412 when it is another by now.", visible.clone()),
        (
            "Range",
            "A part of the body, such as `bytes=0-1023`.",
            json!({"type": "string", "pattern": "^bytes=[0-9]{1,15}-$"}),
        ),
        ("If-Range", "The `ETag` that the part must be of; the whole is sent when it is another.", visible),
    ]
    .into_iter()
    .map(|(name, description, schema)| {
        let parameter =
            json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
        (name.to_owned(), parameter)
    })
    .collect()
}

/// The fields of a form that stand beside its file: what a query can hold, and a body takes as well.
pub(crate) fn form_fields(route: &Route, components: &mut Components<'_>) -> Map<String, Json> {
    let (bound, _) = match &route.body {
        Body::Field(_) => in_query(route),
        Body::None | Body::Whole => (Vec::new(), false),
    };
    let is_flat = |path: &&FieldPath| path.len() == 1 && path.first().is_some_and(|field| !field.is_list());
    let fields = bound.iter().filter(is_flat).filter_map(|path| path.first());
    fields
        .map(|field: &FieldDescriptor| (field.json_name().to_owned(), components.field(field, Side::Parameter)))
        .collect()
}
