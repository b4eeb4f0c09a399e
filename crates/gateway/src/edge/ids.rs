//! The id of a request and its place in a trace: those that the caller gives when they are well formed, and new ones otherwise.
//!
//! Both reach the service as metadata and stand in each log line of the request; the id is in the answer, so that a caller can name what it
//! asks about. Traces: W3C, "Trace Context", version 00.

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use telemetry::about::Fields;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// Bytes of a caller's own id at most: three UUIDs with what joins them.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of `traceparent` in version 00; later ones may be longer.
const TRACE_PARENT_BYTES: usize = 55;

/// Hexadecimal digits of the id of a span.
const SPAN_DIGITS: usize = 16;

/// What a request is known by.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    pub(super) request: HeaderValue,
    trace_parent: HeaderValue,
}

impl Ids {
    /// Reads the ids of a request, and puts new ones into its headers where there are none that can be used.
    pub(super) fn settle(headers: &mut HeaderMap) -> Self {
        let request = only(headers, &REQUEST_ID).filter(|id| is_request_id(id.as_bytes())).cloned();
        let parent = only(headers, &TRACE_PARENT).filter(|parent| is_trace_parent(parent.as_bytes())).cloned();
        let mut ids = match (request, parent) {
            (Some(request), Some(trace_parent)) => Ids { request, trace_parent },
            (request, parent) => {
                let new = Ids::new();
                let request = request.unwrap_or_else(|| {
                    headers.insert(REQUEST_ID, new.request.clone());
                    new.request
                });
                let trace_parent = parent.unwrap_or_else(|| {
                    // The state belongs to the parent that is not there.
                    headers.remove(TRACE_STATE);
                    headers.insert(TRACE_PARENT, new.trace_parent.clone());
                    new.trace_parent
                });
                Ids { request, trace_parent }
            }
        };
        // It goes back with the answer, where HPACK would remember it for nothing (RFC 7541 7.1.3).
        ids.request.set_sensitive(true);
        ids
    }

    /// An id, and the beginning of a trace. It is marked as sampled, which services without a tracer ignore, and others do by default.
    fn new() -> Self {
        // Zero is no id.
        let (trace, span) = (Uuid::from_u128(fastrand::u128(1..)), Uuid::from_u64_pair(fastrand::u64(1..), 0));
        let mut buffer = Uuid::encode_buffer();
        let mut texts = BytesMut::with_capacity(Hyphenated::LENGTH + TRACE_PARENT_BYTES);
        texts.put_slice(Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer).as_bytes());
        texts.put_slice(b"00-");
        texts.put_slice(trace.as_simple().encode_lower(&mut buffer).as_bytes());
        texts.put_slice(b"-");
        texts.put_slice(&span.as_simple().encode_lower(&mut buffer).as_bytes()[..SPAN_DIGITS]);
        texts.put_slice(b"-01");
        let request = texts.split_to(Hyphenated::LENGTH);
        Ids { request: value(request), trace_parent: value(texts) }
    }

    /// The id of the request, as text.
    pub(super) fn request(&self) -> &str {
        self.request.to_str().unwrap_or_default()
    }

    /// The id of the trace, as text.
    pub(super) fn trace(&self) -> &str {
        self.trace_parent.to_str().ok().and_then(|parent| parent.get(3..35)).unwrap_or_default()
    }
}

impl Fields for Ids {
    fn fields(&self) -> Vec<(&'static str, &str)> {
        vec![("request.id", self.request()), ("trace_id", self.trace())]
    }
}

/// The one value of a header; several are none.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

fn is_request_id(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(byte);
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_plain)
}

fn is_trace_parent(parent: &[u8]) -> bool {
    let (Some(head), rest) = (parent.get(..TRACE_PARENT_BYTES), parent.get(TRACE_PARENT_BYTES..).unwrap_or_default())
    else {
        return false;
    };
    let hex = |part: &[u8]| part.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let some = |part: &[u8]| hex(part) && part.iter().any(|byte| *byte != b'0');
    let is_of_its_version = if head.starts_with(b"00") { rest.is_empty() } else { rest.is_empty() || rest[0] == b'-' };
    let dashes = [2, 35, 52].iter().all(|at| head[*at] == b'-');
    let version = &head[..2];
    dashes
        && hex(version)
        && version != b"ff"
        && some(&head[3..35])
        && some(&head[36..52])
        && hex(&head[53..])
        && is_of_its_version
}

fn value(text: BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.freeze()).expect("digits and dashes are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn settled(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        let ids = Ids::settle(&mut headers);
        assert_eq!(headers[REQUEST_ID], ids.request());
        assert_eq!(headers[TRACE_PARENT].to_str().unwrap()[3..35], *ids.trace());
        headers
    }

    #[test]
    fn well_formed_ids_are_kept() {
        let headers = settled(&[("x-request-id", "a-1/B.2"), ("traceparent", PARENT), ("tracestate", "a=b")]);

        assert_eq!(
            (&headers["x-request-id"], &headers["tracestate"]),
            (&"a-1/B.2".parse().unwrap(), &"a=b".parse().unwrap())
        );
        assert_eq!(headers["traceparent"], PARENT);
        let later = format!("01{}-more", &PARENT[2..]);
        assert_eq!(settled(&[("traceparent", &later)])["traceparent"], later);
    }

    #[test]
    fn others_are_replaced() {
        for malformed in ["", "a b", "<script>", &"x".repeat(129)] {
            let made = settled(&[("x-request-id", malformed)])["x-request-id"].to_str().unwrap().to_owned();
            assert_eq!(Uuid::parse_str(&made).unwrap().get_version_num(), 7, "{malformed}");
        }
        let twice = settled(&[("x-request-id", "a"), ("x-request-id", "b")]);
        assert_eq!(twice.get_all("x-request-id").iter().count(), 1);
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let version = format!("ff{}", &PARENT[2..]);
        let (longer, upper) = (format!("{PARENT}-more"), PARENT.to_ascii_uppercase());
        for malformed in ["", "x", zeros, &version, &longer, &upper, &PARENT[..54]] {
            let headers = settled(&[("traceparent", malformed), ("tracestate", "a=b")]);
            let made = headers["traceparent"].to_str().unwrap();
            assert!(made != malformed && is_trace_parent(made.as_bytes()), "{malformed}: {made}");
            assert!(!headers.contains_key("tracestate"), "{malformed}");
        }
    }
}
