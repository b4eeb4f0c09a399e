//! Statuses as JSON: `{"code": 5, "message": "..", "details": [..]}`.

use crate::refused::Refused;
use crate::text::camel;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use prost_types::Any;
use serde_json::{Value as Json, json};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Whose names the violations of a status use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Names<'f> {
    /// The client's; they stay.
    Json,
    /// Those of the `.proto` file; they change, and the field that is the body vanishes from them.
    Proto {
        /// The field that is the body.
        body: Option<&'f str>,
    },
}

/// Writes statuses; it knows the types of their details.
#[derive(Debug)]
pub(crate) struct Statuses {
    pools: [DescriptorPool; 2],
}

impl Statuses {
    /// `pool` may lack `google.rpc`; its types are known anyway.
    pub(crate) fn new(pool: DescriptorPool) -> Self {
        let known = DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET);
        Statuses { pools: [pool, known.expect("tonic-types tests that its descriptors are valid")] }
    }

    /// The answer that tells a refusal.
    pub(crate) fn response(&self, refused: &Refused, names: Names<'_>) -> Response<Body> {
        let mut response = json_response(self.json(&refused.status, names).to_string().into());
        *response.status_mut() = refused.http_status();
        let headers = response.headers_mut();
        crate::headers::response(refused.status.metadata().as_ref(), headers);
        if let Some(allow) = refused.allow.as_ref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if let Some(delay) = refused.status.get_details_retry_info().and_then(|info| info.retry_delay) {
            headers.insert(
                header::RETRY_AFTER,
                delay.as_millis().div_ceil(1000).to_string().try_into().unwrap_or(NO_DELAY),
            );
        }
        response
    }

    /// A status as JSON.
    pub(crate) fn json(&self, status: &Status, names: Names<'_>) -> Json {
        if status.code() == Code::Ok {
            return json!({"code": 0});
        }
        let details = tonic_types::pb::Status::decode(status.details()).map(|status| status.details);
        let details: Vec<Json> = details.unwrap_or_default().iter().map(|detail| self.detail(detail, names)).collect();
        json!({"code": status.code() as i32, "message": status.message(), "details": details})
    }

    /// A detail as JSON; of a type that is not known, its bytes.
    fn detail(&self, detail: &Any, names: Names<'_>) -> Json {
        let type_name = detail.type_url.rsplit('/').next().unwrap_or_default();
        let of = self.pools.iter().find_map(|pool| pool.get_message_by_name(type_name));
        let message = of.and_then(|of| DynamicMessage::decode(of, detail.value.as_slice()).ok());
        let options = SerializeOptions::new();
        let json = message.map(|message| message.serialize_with_options(serde_json::value::Serializer, &options));
        let Some(Ok(Json::Object(mut fields))) = json else {
            let value = Json::String(BASE64_STANDARD.encode(&detail.value));
            return json!({"@type": detail.type_url, "value": value});
        };
        if type_name == "google.rpc.BadRequest" {
            rename(&mut fields, names);
        }
        fields.insert("@type".to_owned(), detail.type_url.clone().into());
        fields.into()
    }
}

/// A delay that is no header value cannot happen; a second is what most services ask for.
const NO_DELAY: HeaderValue = HeaderValue::from_static("1");

fn rename(bad_request: &mut serde_json::Map<String, Json>, names: Names<'_>) {
    let Names::Proto { body } = names else { return };
    let violations = bad_request.get_mut("fieldViolations").and_then(Json::as_array_mut);
    for violation in violations.into_iter().flatten() {
        let Some(Json::String(field)) = violation.get_mut("field") else { continue };
        let below = body.and_then(|body| field.strip_prefix(body)).and_then(|rest| rest.strip_prefix('.'));
        *field = camel(below.unwrap_or(field));
    }
}

/// An answer whose body is JSON.
pub(crate) fn json_response(body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
