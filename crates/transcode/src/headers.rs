//! Which headers pass between HTTP and gRPC, and how a caller's timeout is read.

use crate::HeaderNames;
use crate::refused::Refused;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tonic::Status;

/// Request headers that reach a service as metadata, whatever the configuration adds.
static FORWARDED: [HeaderName; 9] = [
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    HeaderName::from_static("baggage"),
    IDEMPOTENCY_KEY,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    // For whoever stands before the services and knows callers by it; it goes no further than that.
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-request-id"),
];
/// Makes a call one that is done once, however often it is made.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Metadata of an answer that reaches the client as headers, besides what begins with `x-`.
const RETURNED: [&str; 10] = [
    "etag",
    "idempotency-replayed",
    "preference-applied",
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "www-authenticate",
];
/// Headers with a timeout in seconds; `grpc-timeout` has its own form.
static TIMEOUTS: [HeaderName; 2] =
    [HeaderName::from_static("request-timeout"), HeaderName::from_static("x-request-timeout")];

/// Names of newline-delimited JSON.
const LINES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// The metadata of a call. How long a timeout may be is for whoever is called to say.
///
/// # Errors
/// When a timeout cannot be read.
pub(crate) fn request(method: &Method, headers: &HeaderMap, more: &HeaderNames) -> Result<HeaderMap, Refused> {
    let mut metadata = HeaderMap::new();
    // What only reads can be done twice, and its first answer would be out of date.
    let is_kept = |name: &HeaderName| !(method.is_safe() && *name == IDEMPOTENCY_KEY);
    let passes = |name: &HeaderName| (FORWARDED.contains(name) || more.contains(name)) && is_kept(name);
    for (name, value) in headers.iter().filter(|(name, _)| passes(name)) {
        metadata.append(name, value.clone());
    }
    if let Some(timeout) = timeout(headers)? {
        metadata.insert(rpc::timeout::HEADER, rpc::timeout::encode(timeout));
    }
    Ok(metadata)
}

/// Copies what a client may see of an answer's metadata.
pub(crate) fn response(metadata: &HeaderMap, headers: &mut HeaderMap) {
    for (name, value) in metadata {
        if RETURNED.contains(&name.as_str()) || name.as_str().starts_with("x-") {
            headers.append(name.clone(), value.clone());
        }
    }
}

/// The shortest timeout that the request sets.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refused> {
    let mut shortest: Option<Duration> = None;
    let grpc = headers.get_all(rpc::timeout::HEADER).iter();
    let grpc =
        grpc.map(|value| rpc::timeout::parse(value).map_err(|error| Status::invalid_argument(error.to_string())));
    let plain = TIMEOUTS.iter().flat_map(|name| headers.get_all(name).iter().map(move |value| seconds(name, value)));
    for timeout in grpc.chain(plain) {
        let timeout = timeout?;
        shortest = Some(shortest.map_or(timeout, |shortest| shortest.min(timeout)));
    }
    Ok(shortest)
}

fn seconds(name: &HeaderName, value: &HeaderValue) -> Result<Duration, Status> {
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    let timeout = text.and_then(|text| text.parse().ok()).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // No time at all is a mistake, and not what a client waits for.
    let timeout = timeout.filter(|timeout| !timeout.is_zero());
    timeout.ok_or_else(|| Status::invalid_argument(format!("{name} must be a number of seconds above 0")))
}

/// Refuses a body that is not JSON as it stands.
///
/// # Errors
/// 415 for another content type or encoding.
pub(crate) fn check_json(headers: &HeaderMap) -> Result<(), Refused> {
    check_plain(headers)?;
    let Some(value) = headers.get(http::header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    Err(Refused::unsupported_media(&format!("the body must be application/json; its content type says {essence}")))
}

/// Refuses a stream of documents that is not JSON as it stands.
///
/// # Errors
/// 415 for another content type or encoding.
pub(crate) fn check_json_stream(headers: &HeaderMap) -> Result<(), Refused> {
    let is_lines = |value: &HeaderValue| {
        let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        LINES.iter().any(|lines| lines.eq_ignore_ascii_case(essence))
    };
    match headers.get(http::header::CONTENT_TYPE) {
        Some(value) if is_lines(value) => check_plain(headers),
        _ => check_json(headers),
    }
}

/// Refuses a body that is compressed.
///
/// # Errors
/// 415 for a content encoding.
pub(crate) fn check_plain(headers: &HeaderMap) -> Result<(), Refused> {
    let encodings = headers.get_all(http::header::CONTENT_ENCODING);
    if encodings.iter().all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Refused::unsupported_media("the body must come without a content encoding"))
}

/// The forms in which a stream can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamForm {
    /// `text/event-stream`.
    Events,
    /// `application/x-ndjson`.
    Lines,
    /// `application/json`: one array.
    Array,
}

/// Which form the client prefers; lines, when it likes both the same (RFC 9110 12.5.1).
///
/// # Errors
/// 406 when it takes neither.
pub(crate) fn stream_form(headers: &HeaderMap) -> Result<StreamForm, Refused> {
    let accept = headers.get_all(http::header::ACCEPT);
    let texts: Vec<&str> = accept.iter().filter_map(|value| value.to_str().ok()).collect();
    let text = texts.join(",");
    let ranges: Vec<(&str, f32)> = text.split(',').map(range).filter(|(media, _)| !media.is_empty()).collect();
    if ranges.is_empty() {
        return Ok(StreamForm::Lines);
    }
    let [x_lines, lines, other_lines] = LINES;
    let mut best = (StreamForm::Lines, quality(&ranges, &[x_lines, lines, other_lines, "application/*", "*/*"]));
    for (form, names) in [
        (StreamForm::Array, ["application/json", "application/*", "*/*"]),
        (StreamForm::Events, ["text/event-stream", "text/*", "*/*"]),
    ] {
        let quality = quality(&ranges, &names);
        if quality > best.1 {
            best = (form, quality);
        }
    }
    if best.1.0 > 0.0 { Ok(best.0) } else { Err(Refused::not_acceptable()) }
}

/// One media range of an Accept header, with its quality.
fn range(text: &str) -> (&str, f32) {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let quality =
        parts.find_map(|parameter| parameter.strip_prefix("q=")).map_or(Some(1.0), |quality| quality.parse().ok());
    (media, quality.unwrap_or(0.0))
}

/// The quality of the first of `names`, the most specific one first, that is among the ranges; and whether it is no wildcard.
fn quality(ranges: &[(&str, f32)], names: &[&str]) -> (f32, bool) {
    let range = |name: &&str| ranges.iter().find(|(media, _)| media.eq_ignore_ascii_case(name));
    names.iter().find_map(range).map_or((0.0, false), |(media, quality)| (*quality, !media.ends_with('*')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[track_caller]
    fn check_timeout(pairs: &[(&'static str, &'static str)], expected: Option<&str>) {
        let metadata = request(&Method::POST, &headers(pairs), &HeaderNames::default());
        let timeout = metadata.ok().map(|metadata| metadata.get("grpc-timeout").cloned());
        assert_eq!(timeout.flatten().as_ref().map(|value| value.to_str().unwrap()), expected, "{pairs:?}");
    }

    #[test]
    fn timeouts_are_read_and_written_anew() {
        check_timeout(&[("grpc-timeout", "5S")], Some("5000000u"));
        check_timeout(&[("request-timeout", "1.5")], Some("1500000u"));
        check_timeout(&[("x-request-timeout", "2"), ("grpc-timeout", "1S")], Some("1000000u"));
        check_timeout(&[("grpc-timeout", "99999999H")], Some("99999999H"));
        check_timeout(&[], None);
    }

    #[test]
    fn nonsense_timeouts_are_refused() {
        for pair in [
            ("grpc-timeout", "5X"),
            ("request-timeout", "soon"),
            ("x-request-timeout", "-1"),
            ("request-timeout", "inf"),
            ("request-timeout", "0"),
            ("x-request-timeout", "0.0"),
        ] {
            let refused = request(&Method::POST, &headers(&[pair]), &HeaderNames::default()).unwrap_err();
            assert_eq!(refused.http_status(), 400, "{pair:?}");
        }
    }

    #[test]
    fn only_listed_headers_pass() {
        let given = headers(&[
            ("traceparent", "a"),
            ("prefer", "wait=1"),
            ("cookie", "secret"),
            ("x-comanda-principal", "root"),
        ]);

        let listed = request(&Method::POST, &given, &HeaderNames::default()).unwrap();
        let more = HeaderNames::try_from(vec!["Cookie".to_owned()]).unwrap();
        let with_more = request(&Method::POST, &given, &more).unwrap();

        assert_eq!(listed, headers(&[("traceparent", "a"), ("prefer", "wait=1")]));
        assert_eq!(with_more, headers(&[("traceparent", "a"), ("prefer", "wait=1"), ("cookie", "secret")]));
    }

    #[test]
    fn a_key_passes_where_something_is_done() {
        let given = headers(&[("idempotency-key", "k")]);

        for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
            assert_eq!(request(&method, &given, &HeaderNames::default()).unwrap(), given, "{method}");
        }
        for method in [Method::GET, Method::HEAD] {
            assert!(request(&method, &given, &HeaderNames::default()).unwrap().is_empty(), "{method}");
        }
    }

    #[track_caller]
    fn check_form(accept: &'static str, expected: Result<StreamForm, u16>) {
        let form = stream_form(&headers(&[("accept", accept)]));
        assert_eq!(form.map_err(|refused| refused.http_status().as_u16()), expected, "{accept}");
    }

    #[test]
    fn the_form_of_a_stream_is_the_clients_choice() {
        check_form("text/event-stream", Ok(StreamForm::Events));
        check_form("text/event-stream, */*;q=0.5", Ok(StreamForm::Events));
        check_form("text/event-stream, */*", Ok(StreamForm::Events));
        check_form("application/x-ndjson", Ok(StreamForm::Lines));
        check_form("application/json", Ok(StreamForm::Array));
        check_form("application/json, application/x-ndjson", Ok(StreamForm::Lines));
        check_form("application/*", Ok(StreamForm::Lines));
        check_form("*/*", Ok(StreamForm::Lines));
        check_form("", Ok(StreamForm::Lines));
        check_form("text/event-stream;q=0, application/json", Ok(StreamForm::Array));
        check_form("application/xml", Err(406));
        check_form("text/event-stream;q=0", Err(406));
        assert!(matches!(stream_form(&HeaderMap::new()), Ok(StreamForm::Lines)));
    }

    #[test]
    fn only_plain_json_is_taken() {
        for taken in
            ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"]
        {
            assert!(check_json(&headers(&[("content-type", taken)])).is_ok(), "{taken}");
        }
        for refused in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json"] {
            assert_eq!(check_json(&headers(&[("content-type", refused)])).unwrap_err().http_status(), 415, "{refused}");
        }
        assert_eq!(check_json(&headers(&[("content-encoding", "gzip")])).unwrap_err().http_status(), 415);
        assert!(check_json(&headers(&[("content-encoding", "identity")])).is_ok());
    }
}
