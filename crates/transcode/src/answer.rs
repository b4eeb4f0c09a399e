//! Writes the answer of a unary call.

use crate::etag;
use crate::reference::{Defaults, Shown, Style};
use crate::refused::Refused;
use crate::request::Wanted;
use crate::rule::{Body as Bound, Route};
use crate::status::json_response;
use crate::wire;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use prost_reflect::{DynamicMessage, Kind, Value};
use std::borrow::Cow;
use tonic::Status;
use tonic::body::Body;

/// The answer that a message makes.
pub(crate) fn unary(
    route: &Route,
    bytes: &Bytes,
    metadata: &HeaderMap,
    wanted: &Wanted,
) -> Result<Response<Body>, Refused> {
    let raw = raw(route, bytes)?;
    let (mut response, data) = match &raw {
        Some(raw) => (raw.response(), raw.data.clone()),
        None => {
            let mut json = Vec::new();
            put_body(route, bytes, &mut json)?;
            let data = Bytes::from(json);
            (json_response(data.clone()), data)
        }
    };
    *response.status_mut() = route.success();
    let headers = response.headers_mut();
    crate::headers::response(metadata, headers);
    let location = route
        .rpc
        .location
        .as_ref()
        .and_then(|template| template.render(|path| route.rpc.writes.text(path.iter().map(String::as_str), bytes)));
    if let Some(location) = location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    wanted.conditions.judge(&mut response, &data, etag::of_message(route, bytes).as_deref())?;
    if raw.is_some() && response.status() != StatusCode::NOT_MODIFIED {
        wanted.asked.cut(&mut response, &data);
    }
    Ok(response)
}

/// Writes the JSON of a message, or of the field that is the body, after what is there.
pub(crate) fn put_body(route: &Route, bytes: &Bytes, json: &mut Vec<u8>) -> Result<(), Status> {
    let start = json.len();
    let usual = match &route.response_body {
        Bound::None | Bound::Whole => route.rpc.writes.put(bytes, Defaults::Written, json),
        Bound::Field(field) => route.rpc.writes.put_field(field, bytes, json),
    };
    usual.map_or_else(
        || {
            json.truncate(start);
            put_body_by_reference(route, bytes, json)
        },
        Ok,
    )
}

fn put_body_by_reference(route: &Route, bytes: &Bytes, json: &mut Vec<u8>) -> Result<(), Status> {
    let message = DynamicMessage::decode(route.rpc.output.clone(), bytes.clone());
    let message = message.map_err(|error| fault("the service's answer cannot be read", &error))?;
    let (value, kind) = match &route.response_body {
        Bound::Field(field) => (message.get_field(field).into_owned(), field.kind()),
        Bound::None | Bound::Whole => (Value::Message(message), Kind::Message(route.rpc.output.clone())),
    };
    let style = Style { defaults: Defaults::Written, enum_names: route.rpc.dialect.enum_names };
    let written = serde_json::to_writer(json, &Shown { value: &value, kind: &kind, style });
    written.map_err(|error| fault("the service's answer cannot be written as JSON", &error))
}

/// A body that is sent as it is.
pub(crate) struct Raw {
    pub(crate) content_type: String,
    pub(crate) data: Bytes,
}

impl Raw {
    fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::new(http_body_util::Full::new(self.data.clone())));
        let content_type = HeaderValue::from_str(&self.content_type).ok().filter(|value| !value.is_empty());
        let content_type = content_type.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"));
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}

/// The body that a message holds, if it is one that is sent as it is.
pub(crate) fn raw(route: &Route, bytes: &Bytes) -> Result<Option<Raw>, Status> {
    if !route.is_raw {
        return Ok(None);
    }
    let unread = |error: wire::Malformed| fault("the service's answer cannot be read", &error);
    let body = match &route.response_body {
        Bound::None | Bound::Whole => bytes.clone(),
        Bound::Field(field) => match wire::merged(bytes, field.number()).map_err(unread)? {
            None => Bytes::new(),
            Some(Cow::Borrowed(body)) => bytes.slice_ref(body),
            Some(Cow::Owned(body)) => body.into(),
        },
    };
    let part = |number| wire::last(&body, number).map(|part| part.map_or_else(Bytes::new, |part| body.slice_ref(part)));
    let content_type = String::from_utf8(part(1).map_err(unread)?.to_vec());
    let content_type = content_type.map_err(|error| fault("the service's answer has no media type", &error))?;
    Ok(Some(Raw { content_type, data: part(2).map_err(unread)? }))
}

/// A fault of the service, which a person must look at; the caller is not told its details.
fn fault(message: &'static str, error: &dyn std::error::Error) -> Status {
    tracing::error!(error = %error, "answer could not be transcoded");
    Status::internal(message)
}
