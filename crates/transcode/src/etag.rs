//! Validators of answers, and the conditions that a client sets with them (RFC 9110 8.8.3 and 13; AIP-154).

use crate::refused::Refused;
use crate::rule::{Body as Bound, FieldPath, Route, as_message};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use siphasher::sip128::SipHasher13;
use tonic::Status;
use tonic::body::Body;

/// The name of the field that AIP-154 gives to a validator.
const FIELD: &str = "etag";
/// Bytes of a tag that is a hash of 128 bits: 22 of base64, in quotes.
const HASH_TAG_BYTES: usize = 24;

/// What a client wants to be true of the answer to a GET.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    /// Whether the request is one whose answer has a validator.
    is_got: bool,
    /// It must be one of these.
    matches: Option<Tags>,
    /// It must be none of these.
    is_none_of: Option<Tags>,
}

/// Entity tags as they are listed in a header.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    /// Without the mark of weak ones.
    These(Vec<String>),
}

impl Conditions {
    /// Only what is got has conditions here; those of changes are for the service to judge, which alone can do so in time.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        if method != Method::GET && method != Method::HEAD {
            return Conditions::default();
        }
        let (matches, is_none_of) = (Tags::of(headers, &header::IF_MATCH), Tags::of(headers, &header::IF_NONE_MATCH));
        Conditions { is_got: true, matches, is_none_of }
    }

    /// Gives the answer its validator, and refuses or empties it as the conditions say. `text` is the answer's own `etag`, if it has one.
    ///
    /// # Errors
    /// 412 when the client knows another version.
    pub(crate) fn judge(&self, response: &mut Response<Body>, data: &[u8], text: Option<&str>) -> Result<(), Refused> {
        if !self.is_got || response.status() != StatusCode::OK {
            return Ok(());
        }
        let tag = match response.headers().get(header::ETAG) {
            Some(tag) => tag.clone(),
            None => text.and_then(own).unwrap_or_else(|| hash(data)),
        };
        let is_among = |tags: &Tags| tags.have(tag.to_str().unwrap_or_default());
        if self.matches.as_ref().is_some_and(|tags| !is_among(tags)) {
            return Err(Refused::precondition_failed("the client knows another version; get it again"));
        }
        if self.is_none_of.as_ref().is_some_and(is_among) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(header::CONTENT_TYPE);
        }
        response.headers_mut().insert(header::ETAG, tag);
        Ok(())
    }
}

/// The validator that a change must name: the one tag of `If-Match`, as it is, since AIP-154 has the quotes in the field.
///
/// # Errors
/// When it names several, or the method has no place for it and would change what it should not.
pub(crate) fn bound(route: &Route, headers: &HeaderMap) -> Result<Option<(FieldPath, String)>, Refused> {
    if !headers.contains_key(header::IF_MATCH) || route.method == Method::GET {
        return Ok(None);
    }
    let Some(path) = field(route) else {
        return Err(Refused::precondition_failed("the method has no field etag, so that it cannot look at If-Match"));
    };
    match Tags::of(headers, &header::IF_MATCH) {
        // What is changed exists, or the service says that it does not.
        Some(Tags::Any) => Ok(None),
        Some(Tags::These(tags)) if tags.len() == 1 => Ok(tags.into_iter().next().map(|tag| (path, tag))),
        Some(Tags::These(_)) | None => Err(Status::invalid_argument("If-Match must name one version here").into()),
    }
}

/// Where a request names the version that it changes: in the message, or in the resource that is its body.
pub(crate) fn field(route: &Route) -> Option<FieldPath> {
    let own = route.rpc.input.get_field_by_name(FIELD).filter(is_text);
    own.map(|field| vec![field]).or_else(|| {
        let Bound::Field(resource) = &route.body else { return None };
        let field = as_message(resource)?.get_field_by_name(FIELD).filter(is_text)?;
        Some(vec![resource.clone(), field])
    })
}

/// Whether a message has a validator of its own.
pub(crate) fn is_in(message: &MessageDescriptor) -> bool {
    message.get_field_by_name(FIELD).is_some_and(|field| is_text(&field))
}

fn is_text(field: &FieldDescriptor) -> bool {
    field.kind() == Kind::String && !field.is_list()
}

/// The `etag` of a message, if it has such a field.
pub(crate) fn of_message(route: &Route, bytes: &[u8]) -> Option<String> {
    route.rpc.has_etag.then(|| route.rpc.writes.text(std::iter::once(FIELD), bytes))?
}

/// A tag that is one in HTTP as well: quoted, and of characters that need no escape.
fn own(text: &str) -> Option<HeaderValue> {
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?.strip_suffix('"')?;
    let is_tag = opaque.bytes().all(|byte| byte == 0x21 || (0x23..=0x7e).contains(&byte));
    is_tag.then(|| HeaderValue::from_str(text).ok())?
}

/// A tag that any gateway gives to the same bytes. Two answers do not have the same by chance, which is all that a validator is for.
fn hash(data: &[u8]) -> HeaderValue {
    let hash = SipHasher13::new().hash(data).as_bytes();
    let mut tag = [b'"'; HASH_TAG_BYTES];
    let text = &mut tag[1..HASH_TAG_BYTES - 1];
    BASE64_URL_SAFE_NO_PAD.encode_slice(hash, text).expect("there is room for 16 bytes");
    HeaderValue::from_bytes(&tag).expect("base64 is a header value")
}

impl Tags {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut values = headers.get_all(name).iter().peekable();
        values.peek()?;
        let text: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        let text = text.join(",");
        if text.trim() == "*" {
            return Some(Tags::Any);
        }
        // Every second piece between quotes is a tag; commas may stand in it.
        let opaque = text.split('"').skip(1).step_by(2);
        Some(Tags::These(opaque.map(|opaque| format!("\"{opaque}\"")).collect()))
    }

    /// Weak tags count as well: a proxy that compresses makes strong ones weak.
    fn have(&self, tag: &str) -> bool {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        match self {
            Tags::Any => true,
            Tags::These(tags) => tags.iter().any(|other| other == opaque),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[track_caller]
    fn check(name: &HeaderName, values: &[&'static str], text: Option<&str>, expected: Result<u16, u16>) {
        let conditions = Conditions::of(&Method::GET, &headers(name, values));
        let mut response = Response::new(Body::empty());
        let judged = conditions.judge(&mut response, b"{}", text);
        let status = judged.map(|()| response.status().as_u16()).map_err(|refused| refused.http_status().as_u16());
        assert_eq!(status, expected, "{values:?}");
    }

    #[test]
    fn a_version_that_is_known_is_not_sent_again() {
        let none = header::IF_NONE_MATCH;

        check(&none, &[r#""a""#], Some(r#""a""#), Ok(304));
        check(&none, &[r#"W/"a""#], Some(r#""a""#), Ok(304));
        check(&none, &[r#""x,y", "b""#, r#""a""#], Some(r#"W/"a""#), Ok(304));
        check(&none, &["*"], Some(r#""a""#), Ok(304));
        check(&none, &[r#""b""#], Some(r#""a""#), Ok(200));
        check(&none, &["a"], Some(r#""a""#), Ok(200));
    }

    #[test]
    fn another_version_than_the_one_wanted_is_refused() {
        let wanted = header::IF_MATCH;

        check(&wanted, &[r#""a""#], Some(r#""a""#), Ok(200));
        check(&wanted, &["*"], None, Ok(200));
        check(&wanted, &[r#""b""#], Some(r#""a""#), Err(412));
        check(&wanted, &["nonsense"], Some(r#""a""#), Err(412));
    }

    #[test]
    fn a_hash_stands_for_a_tag_that_is_none() {
        for text in [None, Some("plain"), Some(""), Some("\""), Some("\"a\"b\""), Some("\"ä\"")] {
            let mut response = Response::new(Body::empty());
            let conditions = Conditions::of(&Method::GET, &HeaderMap::new());
            conditions.judge(&mut response, b"{}", text).unwrap();
            assert_eq!(response.headers()["etag"], "\"toM2_LJydi2Wg2m4JkD0lQ\"", "{text:?}");
        }
    }

    #[test]
    fn what_is_not_got_has_no_validator() {
        let mut response = Response::new(Body::empty());

        Conditions::of(&Method::POST, &headers(&header::IF_NONE_MATCH, &["*"]))
            .judge(&mut response, b"{}", None)
            .unwrap();

        assert_eq!((response.status().as_u16(), response.headers().get("etag")), (200, None));
    }
}
