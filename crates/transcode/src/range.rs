//! Gives a part of a body (RFC 9110 14.2): one range of bytes. Several ranges, other units and what is malformed are ignored, as a
//! server may.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use std::ops::Range;
use tonic::body::Body;

/// What a client asks for of a body.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    range: Option<HeaderValue>,
    /// The entity tag that the part must be of.
    only_of: Option<HeaderValue>,
}

impl Asked {
    /// Only a GET has ranges.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        if method != Method::GET {
            return Asked::default();
        }
        Asked { range: headers.get(header::RANGE).cloned(), only_of: headers.get(header::IF_RANGE).cloned() }
    }

    /// Makes an answer with the whole body one with the part, or with none when no byte is in the range.
    pub(crate) fn cut(&self, response: &mut Response<Body>, data: &Bytes) {
        let headers = response.headers_mut();
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let is_other = self.only_of.as_ref().is_some_and(|tag| headers.get(header::ETAG) != Some(tag));
        let range = self.range.as_ref().filter(|_| !is_other).and_then(|range| parse(range.to_str().ok()?, data.len()));
        let (status, content_range, part) = match range {
            None => return,
            Some(range) if range.is_empty() => {
                (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{}", data.len()), Bytes::new())
            }
            Some(range) => {
                let told = format!("bytes {}-{}/{}", range.start, range.end - 1, data.len());
                (StatusCode::PARTIAL_CONTENT, told, data.slice(range))
            }
        };
        headers
            .insert(header::CONTENT_RANGE, HeaderValue::from_str(&content_range).expect("digits are a header value"));
        *response.status_mut() = status;
        *response.body_mut() = Body::new(Full::new(part));
    }
}

/// The bytes that a range names; an empty range when there are none, `None` for what is to be ignored.
fn parse(text: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok())?;
    match (first, last) {
        ("", last) => Some(length.saturating_sub(number(last)?)..length),
        (first, "") => Some(number(first)?.min(length)..length),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first.min(length)..last.saturating_add(1).min(length))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_body() {
        assert_eq!(parse("bytes=0-0", 10), Some(0..1));
        assert_eq!(parse("bytes=2-", 10), Some(2..10));
        assert_eq!(parse("bytes=-3", 10), Some(7..10));
        assert_eq!(parse("bytes=-30", 10), Some(0..10));
        assert_eq!(parse("bytes=5-99", 10), Some(5..10));
        assert_eq!(parse("bytes=0-18446744073709551615", 10), Some(0..10));
    }

    #[test]
    fn a_range_beyond_the_body_is_empty() {
        for text in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(parse(text, 10).map(|range| range.is_empty()), Some(true), "{text}");
        }
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        for text in [
            "bytes=3-2",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=a-b",
            "bytes=",
            "bytes=-",
            "0-1",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(parse(text, 10), None, "{text}");
        }
    }
}
