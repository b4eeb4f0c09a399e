//! Reads a request: path over body over query, all of it or nothing.

use crate::headers::{self, StreamForm};
use crate::refused::Refused;
use crate::rule::{Body, Route, as_message, set};
use crate::violation::Violations;
use crate::{Config, decode, json, query, text};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage, Value};
use std::error::Error as StdError;
use std::time::Duration;
use tonic::Status;

/// The header of a client that resumes a stream (HTML, "Server-sent events").
const LAST_EVENT_ID: &str = "last-event-id";

/// A call as gRPC wants it.
pub(crate) struct Call {
    pub(crate) message: Bytes,
    pub(crate) metadata: HeaderMap,
    /// How the answers of a server stream are given.
    pub(crate) form: StreamForm,
    /// Whether the client goes on with a stream that it lost.
    pub(crate) is_resumed: bool,
}

/// Reads a request of `route`, whose path had `values`.
pub(crate) async fn read<B>(
    route: &Route,
    values: Vec<String>,
    request: Request<B>,
    config: &Config,
) -> Result<Call, Refused>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let metadata = headers::request(&parts.headers, config)?;
    let form = if route.rpc.is_stream() { headers::stream_form(&parts.headers)? } else { StreamForm::Lines };
    let body = read_body(route, &parts.headers, body, config).await?;

    let mut violations = Violations::default();
    let mut message = DynamicMessage::new(route.rpc.input.clone());
    bind_body(route, &parts.headers, body, &mut message, &mut violations);
    query::bind(route, parts.uri.query().unwrap_or_default(), &mut message, &mut violations);
    bind_path(route, values, &mut message, &mut violations);
    let is_resumed = bind_last_event(route, &parts.headers, &mut message, &mut violations);
    violations.into_result()?;

    Ok(Call { message: message.encode_to_vec().into(), metadata, form, is_resumed })
}

async fn read_body<B>(route: &Route, headers: &HeaderMap, body: B, config: &Config) -> Result<Bytes, Refused>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let bytes_max = match route.body {
        Body::None => 0,
        Body::Whole | Body::Field(_) => config.body_bytes_max,
    };
    let refusal = || match route.body {
        Body::None => Violations::of("body", "must be empty here"),
        Body::Whole | Body::Field(_) => Refused::body_too_large(bytes_max),
    };
    if body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(refusal());
    }
    if route.body != Body::None && !body.is_end_stream() {
        match raw_body(route) {
            Some(_) => headers::check_plain(headers)?,
            None => headers::check_json(headers)?,
        }
    }
    let within = Duration::from_millis(config.body_timeout_ms);
    let body = std::pin::pin!(Limited::new(body, bytes_max));
    match tokio::time::timeout(within, body.collect()).await {
        Err(_elapsed) => Err(Refused::body_too_slow(within)),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(refusal()),
        Ok(Err(_)) => Err(Status::invalid_argument("the body could not be read to its end").into()),
    }
}

/// The `google.api.HttpBody` that takes a body of any type as it is.
fn raw_body(route: &Route) -> Option<MessageDescriptor> {
    let message = match &route.body {
        Body::None => None,
        Body::Whole => Some(route.rpc.input.clone()),
        Body::Field(field) => as_message(field),
    };
    message.filter(|message| message.full_name() == "google.api.HttpBody")
}

fn bind_body(
    route: &Route,
    headers: &HeaderMap,
    body: Bytes,
    message: &mut DynamicMessage,
    violations: &mut Violations,
) {
    if let Some(of) = raw_body(route) {
        let mut raw = DynamicMessage::new(of);
        let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        raw.set_field_by_name("content_type", Value::String(content_type.unwrap_or_default().to_owned()));
        raw.set_field_by_name("data", Value::Bytes(body));
        return put_body(route, message, Value::Message(raw));
    }
    if body.is_empty() {
        if let Body::Field(field) = &route.body
            && let Some(of) = as_message(field)
        {
            message.set_field(field, Value::Message(DynamicMessage::new(of)));
        }
        return;
    }
    let value = match json::parse(&body) {
        Ok(value) => value,
        Err(complaint) => return violations.push("body", complaint),
    };
    if value.is_null() {
        return violations.push("body", "must not be null");
    }
    let read = match &route.body {
        Body::None => None,
        Body::Whole => decode::message(&route.rpc.input, &value, violations).map(Value::Message),
        Body::Field(field) => decode::field(field, &value, "", violations),
    };
    if let Some(read) = read {
        put_body(route, message, read);
    }
    derive_mask(route, &value, message);
}

fn put_body(route: &Route, message: &mut DynamicMessage, value: Value) {
    match (&route.body, value) {
        (Body::Field(field), value) => message.set_field(field, value),
        (Body::Whole, Value::Message(whole)) => *message = whole,
        _ => {}
    }
}

/// Names the fields that a PATCH gave, without those that its path gives (AIP-134). A mask in the query replaces this one.
fn derive_mask(route: &Route, body: &serde_json::Value, message: &mut DynamicMessage) {
    let (Some(mask), Body::Field(resource), Some(entries)) = (&route.update_mask, &route.body, body.as_object()) else {
        return;
    };
    let (Some(mask_of), Some(of)) = (as_message(mask), as_message(resource)) else { return };
    let given = entries.keys().filter_map(|key| decode::field_of_key(&of, key));
    let named = given.filter(|field| !route.is_in_path(&[resource.clone(), field.clone()]));
    let paths: Vec<String> = named.map(|field| field.name().to_owned()).collect();
    if !paths.is_empty() {
        message.set_field(mask, Value::Message(text::mask(&mask_of, paths.into_iter())));
    }
}

fn bind_path(route: &Route, values: Vec<String>, message: &mut DynamicMessage, violations: &mut Violations) {
    for (path, value) in route.variables.iter().zip(values) {
        let Some(last) = path.last() else { continue };
        match text::value(&last.kind(), &value) {
            Ok(value) => set(message, path, value),
            Err(complaint) => {
                let names: Vec<&str> = path.iter().map(FieldDescriptor::json_name).collect();
                violations.push(names.join("."), complaint);
            }
        }
    }
}

/// A reconnecting client sends the same URL again, so that its header wins over the query.
fn bind_last_event(
    route: &Route,
    headers: &HeaderMap,
    message: &mut DynamicMessage,
    violations: &mut Violations,
) -> bool {
    let (Some(resumable), Some(id)) = (&route.rpc.resumable, headers.get(LAST_EVENT_ID)) else { return false };
    debug_assert_eq!(&message.descriptor(), resumable.resume_after.parent_message());
    match id.to_str().map_err(|_| "must be ASCII".into()).and_then(|id| text::value(&resumable.resume_after.kind(), id))
    {
        Ok(value) => message.set_field(&resumable.resume_after, value),
        Err(complaint) => violations.push("Last-Event-ID", complaint),
    }
    true
}
