//! The answers of an operation: how it succeeds, and every error that the gateway or the comment of its method knows of.

use super::comments::{self, comment};
use super::document::Document;
use super::parameters;
use super::schema::{Components, Side, reference};
use super::status::STATUS;
use crate::refused::http_status;
use crate::rule::{Body, Route};
use http::Method;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Errors by their HTTP status: the name of the component, and what it tells.
const ERRORS: [(&str, &str, &str); 16] = [
    (
        "400",
        "InvalidArgument",
        "A parameter or a field is not as described (INVALID_ARGUMENT; `google.rpc.BadRequest` names each), \
         or what is there forbids it (FAILED_PRECONDITION).",
    ),
    ("401", "Unauthenticated", "The caller does not show who it is (UNAUTHENTICATED)."),
    ("403", "PermissionDenied", "The caller may not do this (PERMISSION_DENIED)."),
    ("404", "NotFound", "There is no such thing (NOT_FOUND)."),
    ("406", "NotAcceptable", "The stream is not given in any of the types that `Accept` names."),
    ("408", "RequestTimeout", "The body did not arrive in time."),
    ("409", "Conflict", "There is such a thing already, or it was changed meanwhile (ALREADY_EXISTS, ABORTED)."),
    ("412", "PreconditionFailed", "What is there is not what `If-Match` names (FAILED_PRECONDITION)."),
    ("413", "PayloadTooLarge", "The body is too large (OUT_OF_RANGE)."),
    ("415", "UnsupportedMediaType", "The body has a type or an encoding that is not read here."),
    ("429", "ResourceExhausted", "Too much is asked for (RESOURCE_EXHAUSTED); `Retry-After` says when to come again."),
    ("500", "Internal", "A fault that is not the caller's (INTERNAL, UNKNOWN, DATA_LOSS)."),
    ("501", "Unimplemented", "The service does not know the method (UNIMPLEMENTED)."),
    ("503", "Unavailable", "The service cannot be reached now (UNAVAILABLE); `Retry-After` says when to come again."),
    ("504", "DeadlineExceeded", "The call took too long (DEADLINE_EXCEEDED)."),
    ("default", "Error", "Whatever else went wrong."),
];

/// The components that every error refers to.
fn components(document: &Document) -> Map<String, Json> {
    let mut components: Map<String, Json> =
        ERRORS.iter().map(|(status, name, text)| ((*name).to_owned(), error(status, text))).collect();
    if document.guards.limits_rates {
        components["ResourceExhausted"]["headers"]["RateLimit"] = json!({
            "description": "What is left of the caller's rate, and when more is there.",
            "schema": {"type": "string"},
        });
    }
    components
}

/// Every answer of a route.
pub(crate) fn of(route: &Route, document: &Document, components: &mut Components<'_>) -> Json {
    let mut responses: BTreeMap<String, Json> = BTreeMap::new();
    let statuses = errors(route, document);
    for (status, name, _) in ERRORS.iter().filter(|(status, _, _)| statuses.contains(status)) {
        responses.insert((*status).to_owned(), json!({"$ref": format!("#/components/responses/{name}")}));
    }
    for (status, text) in told(route) {
        responses.insert(status.clone(), error(&status, &text));
    }
    responses.insert(route.success().as_str().to_owned(), success(route, components));
    if route.rpc.resumable.is_some() {
        let description = "The stream was resumed after its last message, as events; do not come again.";
        responses.insert("204".to_owned(), json!({"description": description}));
    }
    if is_partial(route) {
        responses.insert("206".to_owned(), part());
        responses
            .insert("416".to_owned(), json!({"description": "No byte is in the range.", "headers": content_range()}));
    }
    if parameters::is_tagged(route) {
        responses.insert("304".to_owned(), json!({"description": "It is still what `If-None-Match` names."}));
    }
    json!(responses)
}

/// Whether a part of the answer can be asked for.
fn is_partial(route: &Route) -> bool {
    route.is_raw && !route.rpc.is_stream && route.method == Method::GET
}

/// The statuses of the errors that can come whatever the service is.
fn errors(route: &Route, document: &Document) -> Vec<&'static str> {
    let mut statuses = vec!["400", "429", "500", "503", "504", "default"];
    if !document.security.is_empty() {
        statuses.extend(["401", "403"]);
    }
    if !route.template.variables.is_empty() {
        statuses.push("404");
    }
    if route.rpc.is_stream && !route.is_raw {
        statuses.push("406");
    }
    if route.body != Body::None {
        statuses.extend(["408", "413", "415"]);
    }
    if parameters::keeps_answers(route, document) {
        statuses.push("409");
    }
    if parameters::names_version(route) {
        statuses.push("412");
    }
    statuses
}

/// What the comment of the method says of its errors, by HTTP status.
fn told(route: &Route) -> BTreeMap<String, String> {
    let descriptor = &route.rpc.descriptor;
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for (code, text) in comments::errors(&comment(&descriptor.parent_service().parent_file(), descriptor.path())) {
        let texts = told.entry(http_status(code).as_str().to_owned()).or_default();
        if !texts.is_empty() {
            texts.push_str("\n\n");
        }
        texts.push_str(&text);
    }
    told
}

/// An error, with what comes with its status.
fn error(status: &str, description: &str) -> Json {
    let mut error = json!({
        "description": description,
        "content": {"application/json": {"schema": reference(STATUS)}},
    });
    if ["429", "503", "default"].contains(&status) {
        error["headers"] = json!({"Retry-After": {
            "description": "Seconds after which the call may succeed.",
            "schema": {"type": "integer", "minimum": 0},
        }});
    }
    error
}

fn success(route: &Route, components: &mut Components<'_>) -> Json {
    if route.is_raw {
        let mut success = json!({"description": "The bytes, in their own media type.", "content": {"*/*": {}}});
        if is_partial(route) {
            success["headers"] = json!({"Accept-Ranges": {"schema": {"const": "bytes"}}, "ETag": tag()});
        }
        return success;
    }
    let schema = match &route.response_body {
        Body::None | Body::Whole => components.message(&route.rpc.output, Side::Answer),
        Body::Field(field) => components.field(field, Side::Answer),
    };
    if route.rpc.is_stream {
        return stream(route, &schema);
    }
    let mut success = json!({"description": "Success.", "content": {"application/json": {"schema": schema}}});
    let mut headers = Map::new();
    if route.rpc.location.is_some() {
        success["description"] = "Created.".into();
        let schema = json!({"type": "string", "format": "uri-reference"});
        headers.insert("Location".to_owned(), json!({"description": "Where it can be got.", "schema": schema}));
    }
    if parameters::is_tagged(route) {
        headers.insert("ETag".to_owned(), tag());
    }
    if !headers.is_empty() {
        success["headers"] = headers.into();
    }
    success
}

fn tag() -> Json {
    json!({"description": "What `If-None-Match` can name.", "schema": {"type": "string"}})
}

/// The three forms of a stream. What a line or an event is stands in `x-itemSchema`, as OpenAPI 3.2 has it in `itemSchema`.
fn stream(route: &Route, message: &Json) -> Json {
    let item = json!({"anyOf": [message, reference("StreamError")]});
    let lines = "One JSON document a line; of a stream that failed the last one is {\"error\": Status}.";
    let id = match &route.rpc.resumable {
        Some(resumable) => format!(" `id` is {}, for `Last-Event-ID`.", resumable.event_id.json_name()),
        None => String::new(),
    };
    let events = format!(
        "Events whose `data` is a JSON document; the last one is `event: status`, and its data a Status with the code 0 when all is said.{id}"
    );
    let event = json!({
        "type": "object",
        "required": ["data"],
        "properties": {
            "id": {"type": "string"},
            "event": {"const": "status"},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": message},
            "retry": {"type": "integer"},
        },
    });
    json!({
        "description": "The messages, as they come: lines, unless `Accept` asks for an array or for events.",
        "content": {
            "application/json": {"schema": {"type": "array", "items": item}},
            "application/x-ndjson": {"schema": {"type": "string", "description": lines}, "x-itemSchema": item},
            "text/event-stream": {"schema": {"type": "string", "description": events}, "x-itemSchema": event},
        },
    })
}

fn part() -> Json {
    json!({"description": "The part that `Range` names.", "headers": content_range(), "content": {"*/*": {}}})
}

fn content_range() -> Json {
    json!({"Content-Range": {"description": "Which bytes these are, and of how many.", "schema": {"type": "string"}}})
}

/// The components that operations refer to beside schemas.
pub(crate) fn shared(document: &Document) -> Json {
    json!({"responses": components(document), "parameters": parameters::components()})
}
