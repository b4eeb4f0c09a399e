//! Reads a request: path over body over query, all of it or nothing.

use crate::etag::Conditions;
use crate::headers::{self, StreamForm};
use crate::multipart::{self, Form};
use crate::query::Query;
use crate::range::Asked;
use crate::refused::Refused;
use crate::rule::{Body, Route, as_message, set};
use crate::violation::Violations;
use crate::{Config, OneMessageEach, bind, decode, etag, text};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;
use http::request::Parts;
use http::{Extensions, HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage, Value};
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

/// The header of a client that resumes a stream (HTML, "Server-sent events").
const LAST_EVENT_ID: &str = "last-event-id";

/// A request but for its body.
pub(crate) struct Head {
    pub(crate) metadata: HeaderMap,
    /// What is known of the connection, for whoever stands before the service.
    pub(crate) extensions: Extensions,
    pub(crate) wanted: Wanted,
    /// Whether each piece of the body is a message.
    pub(crate) is_one_message_each: bool,
}

/// What a client wants of its answer.
pub(crate) struct Wanted {
    /// How the answers of a server stream are given.
    pub(crate) form: StreamForm,
    /// Whether it goes on with a stream that it lost.
    pub(crate) is_resumed: bool,
    /// The part of a raw answer.
    pub(crate) asked: Asked,
    /// What has to be true of the answer.
    pub(crate) conditions: Conditions,
}

/// What every message of a request is made of, besides its body.
pub(crate) struct Binding {
    route: Arc<Route>,
    /// Those of the path's variables.
    values: Vec<String>,
    parts: Parts,
}

impl Head {
    /// Reads the headers of a request of `route`, and takes its extensions.
    pub(crate) fn read(route: &Route, parts: &mut Parts, config: &Config) -> Result<Self, Refused> {
        let wanted = Wanted {
            form: if route.rpc.is_stream { headers::stream_form(&parts.headers)? } else { StreamForm::Lines },
            is_resumed: is_resumed(route, &parts.headers),
            asked: Asked::of(&parts.method, &parts.headers),
            conditions: Conditions::of(&parts.method, &parts.headers),
        };
        Ok(Head {
            metadata: headers::request(&parts.method, &parts.headers, &config.forwarded_headers)?,
            wanted,
            is_one_message_each: parts.extensions.get::<OneMessageEach>().is_some(),
            extensions: std::mem::take(&mut parts.extensions),
        })
    }
}

impl Binding {
    pub(crate) fn new(route: Arc<Route>, values: Vec<String>, parts: Parts) -> Self {
        Binding { route, values, parts }
    }

    /// Whether bodies pass as they are.
    pub(crate) fn is_raw(&self) -> bool {
        self.route.raw_body.is_some()
    }

    /// Refuses a stream of messages that cannot be read.
    pub(crate) fn check_stream(&self) -> Result<(), Refused> {
        if self.is_raw() {
            headers::check_plain(&self.parts.headers)
        } else {
            headers::check_json_stream(&self.parts.headers)
        }
    }

    /// Makes a message of a body: path over body over query, all of it or nothing.
    pub(crate) fn message(&self, body: Bytes) -> Result<Bytes, Refused> {
        let query = self.parts.uri.query().unwrap_or_default();
        let headers = &self.parts.headers;
        let is_usual = !self.is_raw() && !is_resumed(&self.route, headers) && !headers.contains_key(header::IF_MATCH);
        let usual = is_usual.then(|| bind::bind(&self.route, &self.values, query, &body)).flatten();
        match usual {
            Some(message) => Ok(message.into()),
            None => self.by_reference(body).map(Bytes::from),
        }
    }

    /// Reads what is unusual, or complains of all that is wrong.
    fn by_reference(&self, body: Bytes) -> Result<Vec<u8>, Refused> {
        let Binding { route, values, parts } = self;
        let mut violations = Violations::default();
        let mut message = DynamicMessage::new(route.rpc.input.clone());
        let mut query = Query::new(route);
        if let Some(of) = &route.raw_body {
            let fields = bind_raw(route, &parts.headers, body, (of, &mut message))?;
            for (name, value) in fields {
                query.parameter(&name, &value, &mut message, &mut violations);
            }
        } else {
            bind_body(route, &body, &mut message, &mut violations);
        }
        query.bind(parts.uri.query().unwrap_or_default(), &mut message, &mut violations);
        bind_path(route, values, &mut message, &mut violations);
        bind_last_event(route, &parts.headers, &mut message, &mut violations);
        if let Some((path, tag)) = etag::bound(route, &parts.headers)? {
            set(&mut message, &path, Value::String(tag));
        }
        violations.into_result()?;
        Ok(message.encode_to_vec())
    }
}

fn is_resumed(route: &Route, headers: &HeaderMap) -> bool {
    route.rpc.resumable.is_some() && headers.contains_key(LAST_EVENT_ID)
}

/// Reads a request to its end. One with a body, which few have, is read in a box.
pub(crate) fn read_message<B>(
    binding: Binding,
    body: B,
    config: &Config,
) -> impl Future<Output = Result<Bytes, Refused>> + use<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    if body.is_end_stream() {
        return ready(binding.message(Bytes::new())).left_future();
    }
    let (bytes_max, within) = (config.body_bytes_max, Duration::from_millis(config.body_timeout_ms));
    let message = async move {
        let body = read_body(&binding.route, &binding.parts.headers, body, (bytes_max, within)).await?;
        binding.message(body)
    };
    Box::pin(message).right_future()
}

async fn read_body<B>(
    route: &Route,
    headers: &HeaderMap,
    body: B,
    (bytes_max, within): (usize, Duration),
) -> Result<Bytes, Refused>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let bytes_max = match route.body {
        Body::None => 0,
        Body::Whole | Body::Field(_) => bytes_max,
    };
    let refusal = || match route.body {
        Body::None => Violations::of("body", "must be empty here"),
        Body::Whole | Body::Field(_) => Refused::body_too_large(bytes_max),
    };
    if body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(refusal());
    }
    if route.body != Body::None {
        match route.raw_body {
            Some(_) => headers::check_plain(headers)?,
            None => headers::check_json(headers)?,
        }
    }
    let body = std::pin::pin!(Limited::new(body, bytes_max));
    match tokio::time::timeout(within, body.collect()).await {
        Err(_elapsed) => Err(Refused::body_too_slow(within)),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(refusal()),
        Ok(Err(error)) => Err(Refused::body_broken(&*error)),
    }
}

/// Binds a body of any type; what else a form has is given back, by its names.
fn bind_raw(
    route: &Route,
    headers: &HeaderMap,
    body: Bytes,
    (of, message): (&MessageDescriptor, &mut DynamicMessage),
) -> Result<Vec<(String, String)>, Refused> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = match multipart::boundary(content_type) {
        Some(boundary) => multipart::read(&body, boundary).map_err(|complaint| Violations::of("body", complaint))?,
        None => Form { content_type: content_type.to_owned(), data: body, fields: Vec::new() },
    };
    let mut raw = DynamicMessage::new(of.clone());
    raw.set_field_by_name("content_type", Value::String(form.content_type));
    raw.set_field_by_name("data", Value::Bytes(form.data));
    put_body(route, message, Value::Message(raw));
    Ok(form.fields)
}

fn bind_body(route: &Route, body: &[u8], message: &mut DynamicMessage, violations: &mut Violations) {
    if body.is_empty() {
        if let Body::Field(field) = &route.body
            && let Some(of) = as_message(field)
        {
            message.set_field(field, Value::Message(DynamicMessage::new(of)));
        }
        return;
    }
    let value = match strict_json::parse(body) {
        Ok(value) => value,
        Err(complaint) => return violations.push("body", complaint),
    };
    if value.is_null() {
        return violations.push("body", "must not be null");
    }
    let mut reader = decode::Reader::new(violations, route.rpc.dialect);
    let read = match &route.body {
        Body::None => None,
        Body::Whole => reader.message(&route.rpc.input, &value, "").map(Value::Message),
        Body::Field(field) => reader.field(field, &value, ""),
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

fn bind_path(route: &Route, values: &[String], message: &mut DynamicMessage, violations: &mut Violations) {
    for (path, value) in route.variables.iter().zip(values) {
        let Some(last) = path.last() else { continue };
        match text::value(&last.kind(), value, route.rpc.dialect.enum_names) {
            Ok(value) => set(message, path, value),
            Err(complaint) => {
                let names: Vec<&str> = path.iter().map(FieldDescriptor::json_name).collect();
                violations.push(names.join("."), complaint);
            }
        }
    }
}

/// A reconnecting client sends the same URL again, so that its header wins over the query.
fn bind_last_event(route: &Route, headers: &HeaderMap, message: &mut DynamicMessage, violations: &mut Violations) {
    let (Some(resumable), Some(id)) = (&route.rpc.resumable, headers.get(LAST_EVENT_ID)) else { return };
    debug_assert_eq!(&message.descriptor(), resumable.resume_after.parent_message());
    let kind = resumable.resume_after.kind();
    let id = id.to_str().map_err(|_| "must be ASCII".into());
    match id.and_then(|id| text::value(&kind, id, route.rpc.dialect.enum_names)) {
        Ok(value) => message.set_field(&resumable.resume_after, value),
        Err(complaint) => violations.push("Last-Event-ID", complaint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::reference::{Defaults, Reference};
    use crate::router::Found;
    use http::{Method, Request};
    use proptest::collection::vec;
    use proptest::sample::select;
    use proptest::test_runner::{Config as Cases, TestRunner};
    use prost_reflect::DescriptorPool;

    const PATHS: [(Method, &str); 10] = [
        (Method::GET, "/v1/k/bob"),
        (Method::GET, "/v1/n/ID/x/7"),
        (Method::GET, "/v1/e/2"),
        (Method::GET, "/v1/t/2024-01-02T03:04:05Z"),
        (Method::GET, "/v1/fail/0"),
        (Method::POST, "/v1/star"),
        (Method::POST, "/v1/starpath/p"),
        (Method::POST, "/v1/field/p"),
        (Method::POST, "/v1/rep/p"),
        (Method::POST, "/v1/scalar/p"),
    ];
    const PARAMETERS: [&str; 32] = [
        "i32=5",
        "i32=0",
        "i32=x",
        "i32=1e5",
        "i64=-3",
        "u64=9",
        "d=NaN",
        "f=1.5",
        "b=true",
        "b=yes",
        "by=%2B%2F8",
        "color=RED",
        "color=2",
        "color=%2B1",
        "tags=a",
        "tags=",
        "nums=1",
        "colors=DARK_BLUE",
        "inner.n=3",
        "inner.deep.twoWords=x",
        "inner=1",
        "ts=2024-01-02T03:04:05.5Z",
        "ts.seconds=5",
        "dur=-1.5s",
        "mask=inner.twoWords,name",
        "mask=two_words",
        "sv=",
        "i64v=0",
        "oa=x",
        "ob=1",
        "snake_case_name=y",
        "zzz=1",
    ];
    const BODIES: [&str; 10] = [
        "",
        "{}",
        "null",
        r#"{"name":"evil","i32":5}"#,
        r#"{"id":"x","deep":{"n":0}}"#,
        r#"[{"id":"a"},{}]"#,
        r#""77""#,
        "[]",
        r#"{"inner":{"id":"y"},"oa":"x"}"#,
        r#"{"zzz":1}"#,
    ];

    fn meaning(of: &MessageDescriptor, wire: &[u8]) -> serde_json::Value {
        let json = Reference::new(of.clone(), Dialect::default()).write(wire, Defaults::Written).unwrap();
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn a_usual_request_is_read_as_the_reference_reads_it() {
        let root = env!("CARGO_MANIFEST_DIR");
        let folders = [format!("{root}/tests/kitchen"), format!("{root}/../../proto")];
        let mut compiler = protox::Compiler::new(folders).unwrap();
        let set = compiler.include_imports(true).open_file("kitchen.proto").unwrap().encode_file_descriptor_set();
        let rules = crate::Rules::of(&DescriptorPool::decode(set.as_slice()).unwrap(), |_| Dialect::default());
        let (transcoder, _) = crate::Transcoder::of(rules.kept, Config::default());
        let router = transcoder.router;
        let cases = (select(&PATHS[..]), vec(select(&PARAMETERS[..]), 0..4), select(&BODIES[..]));
        let usual = std::cell::Cell::new(0);

        let outcome =
            TestRunner::new(Cases { failure_persistence: None, ..Cases::with_cases(4_000) }).run(&cases, |case| {
                let ((method, path), parameters, body) = case;
                let Found::Route(route, values) = router.find(&method, path) else { panic!("{path} has no route") };
                let query = parameters.join("&");
                let (parts, ()) = Request::get(format!("{path}?{query}")).body(()).unwrap().into_parts();
                let body = if method == Method::GET { "" } else { body };
                let Some(bound) = bind::bind(route, &values, &query, body.as_bytes()) else { return Ok(()) };
                let read = Binding::new(Arc::clone(route), values, parts).by_reference(body.into());
                let read = read.unwrap_or_else(|refused| panic!("{path}?{query} {body} is taken: {refused:?}"));
                let of = &route.rpc.input;
                proptest::prop_assert_eq!(meaning(of, &bound), meaning(of, &read), "{}?{} {}", path, query, body);
                usual.set(usual.get() + 1);
                Ok(())
            });

        outcome.unwrap();
        assert!(usual.get() > 400, "only {} requests were usual", usual.get());
    }
}
