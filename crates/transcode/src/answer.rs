//! Writes the answer of a unary call.

use crate::refused::Refused;
use crate::rule::{Body as Bound, Route, as_message, get_text};
use crate::status::json_response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions, Value};
use serde_json::Value as Json;
use tonic::Status;
use tonic::body::Body;

/// How messages become JSON: with every field that has a default, so that a client need not know the defaults.
const OPTIONS: SerializeOptions = SerializeOptions::new().skip_default_fields(false);

/// The answer that a message makes.
pub(crate) fn unary(route: &Route, bytes: Bytes, metadata: &HeaderMap) -> Result<Response<Body>, Refused> {
    let message = decode(&route.rpc.output, bytes)?;
    let mut response = match raw(route, &message) {
        Some(raw) => raw.into_response(),
        None => json_response(body(route, &message)?.into()),
    };
    *response.status_mut() = route.success();
    let headers = response.headers_mut();
    crate::headers::response(metadata, headers);
    let location = route.rpc.location.as_ref().and_then(|template| template.render(|path| get_text(&message, path)));
    if let Some(location) = location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Reads a message that a service sent.
pub(crate) fn decode(of: &MessageDescriptor, bytes: Bytes) -> Result<DynamicMessage, Status> {
    DynamicMessage::decode(of.clone(), bytes).map_err(|error| fault("the service's answer cannot be read", &error))
}

/// The JSON of a message, or of the field that is the body.
pub(crate) fn body(route: &Route, message: &DynamicMessage) -> Result<Vec<u8>, Status> {
    let mut text = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut text);
    let written = match &route.response_body {
        Bound::None | Bound::Whole => message.serialize_with_options(&mut serializer, &OPTIONS),
        Bound::Field(field) => match (message.get_field(field).as_ref(), as_message(field)) {
            (Value::Message(inner), Some(_)) => inner.serialize_with_options(&mut serializer, &OPTIONS),
            _ => {
                let whole = message.serialize_with_options(serde_json::value::Serializer, &OPTIONS);
                let value = whole.map(|mut whole| whole.get_mut(field.json_name()).map_or(Json::Null, Json::take));
                value.and_then(|value| serde::Serialize::serialize(&value, &mut serializer))
            }
        },
    };
    written.map_err(|error| fault("the service's answer cannot be written as JSON", &error))?;
    Ok(text)
}

/// A body that is sent as it is.
pub(crate) struct Raw {
    pub(crate) content_type: String,
    pub(crate) data: Bytes,
}

impl Raw {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::new(http_body_util::Full::new(self.data)));
        let content_type = HeaderValue::from_str(&self.content_type).ok().filter(|value| !value.is_empty());
        let content_type = content_type.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"));
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}

/// The type of an answer's body, when it is a message.
pub(crate) fn body_type(route: &Route) -> Option<MessageDescriptor> {
    match &route.response_body {
        Bound::None | Bound::Whole => Some(route.rpc.output.clone()),
        Bound::Field(field) => as_message(field),
    }
}

/// Whether an answer is sent as it is: its body is a `google.api.HttpBody`.
pub(crate) fn is_raw(route: &Route) -> bool {
    body_type(route).is_some_and(|of| of.full_name() == "google.api.HttpBody")
}

/// The body that a message holds, if it is one that is sent as it is.
pub(crate) fn raw(route: &Route, message: &DynamicMessage) -> Option<Raw> {
    if !is_raw(route) {
        return None;
    }
    let field = match &route.response_body {
        Bound::Field(field) => Some(message.get_field(field).into_owned()),
        Bound::None | Bound::Whole => None,
    };
    let body = field.as_ref().and_then(Value::as_message).unwrap_or(message);
    let content_type = body.get_field_by_name("content_type")?.as_str()?.to_owned();
    let data = body.get_field_by_name("data")?.as_bytes()?.clone();
    Some(Raw { content_type, data })
}

/// A fault of the service, which a person must look at; the caller is not told its details.
fn fault(message: &'static str, error: &dyn std::error::Error) -> Status {
    tracing::error!(error = %error, "answer could not be transcoded");
    Status::internal(message)
}
