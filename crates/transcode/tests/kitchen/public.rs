//! The public kitchen of `gateway/kitchen.proto`, which four other gateways were asked the same questions about.
//!
//! It answers as `gateway/kitchen_server.py` does, one layer below any generated code.

use crate::kit::{Answer, grpc_messages, grpc_requests};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value as Json, json};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use transcode::{Config, Transcoder};

/// The kitchen behind a transcoder.
#[derive(Clone)]
pub(crate) struct Kitchen {
    transcoder: Transcoder,
    pool: Arc<DescriptorPool>,
}

/// A file of the shared data; `None`, and a line on standard output, when it is not there.
pub(crate) fn require(what: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/gateway").join(what);
    if path.is_file() {
        return Some(path);
    }
    let is_forbidden = std::env::var_os("COMANDA_TEST_FORBID_SKIP").is_some_and(|value| value == "1");
    assert!(!is_forbidden, "{} is not there, and no skip is allowed", path.display());
    println!("skipped: {} is not there", path.display());
    None
}

impl Kitchen {
    /// `None` when its contract is not there.
    pub(crate) fn open() -> Option<Self> {
        let proto = require("kitchen.proto")?;
        let google = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
        let mut compiler = protox::Compiler::new([proto.parent().unwrap(), Path::new(google)]).unwrap();
        compiler.include_imports(true).open_file("kitchen.proto").unwrap();
        let descriptors = compiler.encode_file_descriptor_set();
        let pool = Arc::new(DescriptorPool::decode(descriptors.as_slice()).unwrap());
        Some(Kitchen { transcoder: Transcoder::new(&descriptors, Config::default()).unwrap(), pool })
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let upstream = |service: &str| {
            let kitchen = self.clone();
            let answer = move |request| {
                let kitchen = kitchen.clone();
                async move { kitchen.answer(request).await }
            };
            (service == "kit.v1.Kit").then(|| tower::service_fn(answer))
        };
        let (parts, body) = self.transcoder.call(request, &upstream).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_owned().into()).await
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let requests = grpc_requests(body).await;
        let method = parts.uri.path().rsplit('/').next().unwrap().to_owned();
        let first = requests.first().cloned().unwrap_or_default();
        let count = || self.all(&first)["i32"].as_i64().unwrap();
        let ok = Status::ok("");
        Ok(match method.as_str() {
            "Del" => grpc_messages(vec![Bytes::new()], &ok),
            "Up" => grpc_messages(vec![self.uploaded(&first)], &ok),
            "Down" => grpc_messages(vec![file("text/csv", "a,b\n1,2\n")], &ok),
            "Fail" => failed(Code::from_i32(i32::try_from(count()).unwrap())).into_http(),
            "Meta" => self.meta(&parts.headers),
            "Stream" => grpc_messages(self.stream(count()), &ok),
            "StreamErr" => grpc_messages(self.stream(count()), &quota()),
            "DownStream" => {
                let chunks = (0..count()).map(|index| file("text/plain", &format!("chunk{index};")));
                grpc_messages(chunks.collect(), &ok)
            }
            "Collect" => {
                let names: Vec<Json> = requests.iter().map(|request| self.all(request)["name"].clone()).collect();
                grpc_messages(vec![self.encode(json!({"tags": names}))], &ok)
            }
            "Bidi" => {
                let echo = |request: &Bytes| format!("echo {}", self.all(request)["name"].as_str().unwrap());
                let echoes = requests.iter().map(|request| self.encode(json!({"name": echo(request)})));
                grpc_messages(echoes.collect(), &ok)
            }
            _ => grpc_messages(vec![first], &ok),
        })
    }

    fn all(&self, bytes: &Bytes) -> Json {
        let of = self.pool.get_message_by_name("kit.v1.All").unwrap();
        let message = DynamicMessage::decode(of, bytes.clone()).unwrap();
        let options = prost_reflect::SerializeOptions::new().skip_default_fields(false);
        message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
    }

    fn encode(&self, json: Json) -> Bytes {
        let of = self.pool.get_message_by_name("kit.v1.All").unwrap();
        DynamicMessage::deserialize(of, json).unwrap().encode_to_vec().into()
    }

    fn stream(&self, count: i64) -> Vec<Bytes> {
        (0..count).map(|index| self.encode(json!({"name": format!("s{index}"), "i64": index.to_string()}))).collect()
    }

    fn uploaded(&self, bytes: &Bytes) -> Bytes {
        let of = self.pool.get_message_by_name("kit.v1.Upload").unwrap();
        let upload = serde_json::to_value(DynamicMessage::decode(of, bytes.clone()).unwrap()).unwrap();
        let file = &upload["file"];
        self.encode(json!({"name": upload["name"], "by": file["data"], "customJson": file["contentType"]}))
    }

    fn meta(&self, headers: &HeaderMap) -> Response<Body> {
        let seen: serde_json::Map<_, _> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
        let mut response = grpc_messages(vec![self.encode(json!({"m": seen}))], &Status::ok(""));
        for (name, value) in [("x-resp", "h1"), ("set-cookie", "a=b"), ("location", "/there")] {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    }
}

fn failed(code: Code) -> Status {
    let mut details = ErrorDetails::with_error_info("R", "d", [("k".to_owned(), "v".to_owned())]);
    details.add_bad_request_violation("f", "x");
    details.set_retry_info(None);
    Status::with_error_details(code, "bad thing: \u{e9} 100%", details)
}

fn quota() -> Status {
    let details = ErrorDetails::with_error_info("R", "", []);
    Status::with_error_details(Code::ResourceExhausted, "quota", details)
}

/// A `google.api.HttpBody`.
fn file(content_type: &str, data: &str) -> Bytes {
    let mut bytes = Vec::new();
    for (number, text) in [(1, content_type), (2, data)] {
        prost::encoding::string::encode(number, &text.to_owned(), &mut bytes);
    }
    bytes.into()
}
