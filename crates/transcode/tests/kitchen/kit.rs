//! A kitchen that echoes: the service behind the transcoder in these tests, one layer below any generated code.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use serde_json::Value as Json;
use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use transcode::{Config, Transcoder};

static DESCRIPTORS: LazyLock<Vec<u8>> = LazyLock::new(|| descriptors("kitchen.proto"));

/// The descriptor set of a file of this folder.
pub(crate) fn descriptors(file: &str) -> Vec<u8> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut compiler = protox::Compiler::new([format!("{root}/tests/kitchen"), format!("{root}/../../proto")]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_file(file).unwrap();
    compiler.encode_file_descriptor_set()
}

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS.as_slice()).unwrap());

pub(crate) fn transcoder() -> Transcoder {
    Transcoder::new(&DESCRIPTORS, Config { body_bytes_max: 10_000, ..Config::default() }).unwrap()
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The violations of a 400, as `field: description`.
    pub(crate) fn violations(&self) -> Vec<String> {
        let json = self.json();
        let violations = json["details"][0]["fieldViolations"].as_array().cloned().unwrap_or_default();
        let text = |violation: &Json| {
            format!("{}: {}", violation["field"].as_str().unwrap(), violation["description"].as_str().unwrap())
        };
        violations.iter().map(text).collect()
    }
}

pub(crate) async fn send(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    serve(&transcoder(), request.body(Full::new(body.into())).unwrap()).await
}

/// The kitchen's answer through a transcoder, read to its end.
pub(crate) async fn serve(transcoder: &Transcoder, request: Request<Full<Bytes>>) -> Answer {
    let upstream =
        |service: &str| matches!(service, "kit.v1.Kit" | "colors.v1.Colors").then(|| tower::service_fn(answer));
    let response = transcoder.call(request, &upstream).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

pub(crate) async fn get(path: &str) -> Answer {
    send("GET", path, &[], "").await
}

pub(crate) async fn post(path: &str, body: &str) -> Answer {
    send("POST", path, &[("content-type", "application/json")], body.to_owned()).await
}

/// Answers most calls with the request itself.
pub(crate) async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let bytes = grpc_requests(body).await.pop().unwrap_or_default();
    let method = parts.uri.path().rsplit('/').next().unwrap();
    Ok(match method {
        "Fail" => fail(&bytes).into_http(),
        "Meta" => meta(&parts.headers),
        "Del" => grpc_messages(vec![Bytes::new()], &Status::ok("")),
        "CreateThing" => grpc_messages(vec![created(&bytes)], &Status::ok("")),
        "Watch" => watch(&bytes),
        _ => grpc_messages(vec![bytes], &Status::ok("")),
    })
}

fn decode(name: &str, bytes: &Bytes) -> DynamicMessage {
    DynamicMessage::decode(POOL.get_message_by_name(name).unwrap(), bytes.clone()).unwrap()
}

fn encode(name: &str, json: Json) -> Bytes {
    let message = DynamicMessage::deserialize(POOL.get_message_by_name(name).unwrap(), json).unwrap();
    message.encode_to_vec().into()
}

/// Fails with the code that `i32` says, and every detail; code 77 is for a detail of an unknown type.
fn fail(bytes: &Bytes) -> Status {
    let asked = decode("kit.v1.All", bytes);
    let code = asked.get_field_by_name("i32").unwrap().as_i32().unwrap();
    if code == 77 {
        let detail = prost_types::Any { type_url: "type.googleapis.com/nobody.Knows".to_owned(), value: vec![1, 2, 3] };
        let status = tonic_types::pb::Status { code: 9, message: String::new(), details: vec![detail] };
        return Status::with_details(Code::FailedPrecondition, "unknown detail", status.encode_to_vec().into());
    }
    let mut details = ErrorDetails::with_error_info("BY_INTENT", "kit", [("key".to_owned(), "value".to_owned())]);
    details.set_retry_info(Some(Duration::from_millis(1500)));
    details.add_bad_request_violation("inner.two_words", "is wrong");
    details.add_bad_request_violation("snake_case_name", "is wrong");
    let mut status = Status::with_error_details(Code::from_i32(code), "failed by intent", details);
    status.metadata_mut().insert("x-trace", "seen".parse().unwrap());
    status
}

/// The request's metadata, as a map in the answer; and metadata of its own.
fn meta(headers: &HeaderMap) -> Response<Body> {
    let seen: serde_json::Map<_, _> =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    let mut response = grpc_messages(vec![encode("kit.v1.All", serde_json::json!({"m": seen}))], &Status::ok(""));
    for (name, value) in
        [("preference-applied", "wait"), ("x-request-id", "7"), ("secret", "hidden"), ("etag", "\"1\"")]
    {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn created(bytes: &Bytes) -> Bytes {
    let asked = decode("kit.v1.CreateThingRequest", bytes);
    let thing = asked.get_field_by_name("thing").unwrap();
    let mut thing = thing.as_message().unwrap().clone();
    thing.set_field_by_name("thing_id", Value::String("a/b".to_owned()));
    thing.encode_to_vec().into()
}

/// Things 1 to 3 after the one asked for; `broken` ends with an error after them, `missing` at once; `open` never ends, `quiet` says
/// nothing, `garbled` says what is no message.
fn watch(bytes: &Bytes) -> Response<Body> {
    let asked = decode("kit.v1.WatchRequest", bytes);
    let after = asked.get_field_by_name("after").unwrap().as_i64().unwrap();
    let mut things: Vec<Bytes> =
        (after + 1..=3).map(|size| encode("kit.v1.Thing", serde_json::json!({"size": size}))).collect();
    match asked.get_field_by_name("name").unwrap().as_str().unwrap() {
        "broken" => grpc_messages(things, &Status::unavailable("lost")),
        "missing" => Status::not_found("no such thing").into_http(),
        "late" => grpc_messages(Vec::new(), &Status::aborted("at once")),
        "quiet" => {
            let frames = futures_util::stream::pending::<Result<Frame<Bytes>, Status>>();
            grpc(Body::new(StreamBody::new(frames)))
        }
        "garbled" => {
            things.push(Bytes::from_static(b"\xff"));
            grpc_messages(things, &Status::ok(""))
        }
        "open" => {
            let there = futures_util::stream::once(async { Ok::<_, Status>(Frame::data(framed(things))) });
            grpc(Body::new(StreamBody::new(there.chain(futures_util::stream::pending()))))
        }
        _ => grpc_messages(things, &Status::ok("")),
    }
}

/// The messages of a gRPC request.
pub(crate) async fn grpc_requests(body: Body) -> Vec<Bytes> {
    let mut bytes = body.collect().await.unwrap().to_bytes();
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        let mut head = bytes.split_to(5);
        assert_eq!(head.get_u8(), 0);
        requests.push(bytes.split_to(usize::try_from(head.get_u32()).unwrap()));
    }
    requests
}

/// Messages and a status, as gRPC puts them into a response.
pub(crate) fn grpc_messages(messages: Vec<Bytes>, status: &Status) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let frames = [Frame::data(framed(messages)), Frame::trailers(trailers)].map(Ok::<_, Status>);
    grpc(Body::new(StreamBody::new(futures_util::stream::iter(frames))))
}

fn framed(messages: Vec<Bytes>) -> Bytes {
    let mut framed = BytesMut::new();
    for message in messages {
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap());
        framed.put(message);
    }
    framed.freeze()
}

fn grpc(body: Body) -> Response<Body> {
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}
