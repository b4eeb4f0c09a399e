//! Compresses answers, and decompresses what is sent.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as HttpBody;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use tonic::body::Body;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;
use tower_http::decompression::RequestDecompressionLayer;

/// The codings of answers.
const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

/// Which answers are compressed. Callers choose between zstd, br and gzip by `Accept-Encoding`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompressionConfig {
    /// Whether any are. Yes: what is paid for in time is saved in bytes.
    pub is_on: bool,
    /// Bytes of an answer at least. 1,024: less fits into one packet anyway.
    pub bytes_min: u64,
}

impl Default for CompressionConfig {
    fn default() -> Self {
        CompressionConfig { is_on: true, bytes_min: 1_024 }
    }
}

/// Whether an answer is worth it: text of a known size. A stream never is, since its messages would wait for each other.
#[derive(Debug, Clone, Copy)]
struct Worthwhile {
    bytes_min: u64,
}

impl Predicate for Worthwhile {
    fn should_compress<B: HttpBody>(&self, response: &Response<B>) -> bool {
        let is_large = response.body().size_hint().exact().is_some_and(|bytes| bytes >= self.bytes_min);
        is_large && response.status() != StatusCode::PARTIAL_CONTENT && is_text(response.headers())
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_known = ["application/json", "application/javascript", "application/openmetrics-text", "image/svg+xml"];
    let is_text = essence.starts_with("text/") && essence != "text/event-stream";
    is_text || is_known.contains(&essence) || essence.ends_with("+json") || essence.ends_with("+xml")
}

/// Compresses an answer as its caller likes it.
pub(super) fn compress(
    config: &CompressionConfig,
    accepted: &HeaderMap,
    response: Response<Body>,
) -> Either<Ready<Response<Body>>, BoxFuture<'static, Response<Body>>> {
    let worthwhile = Worthwhile { bytes_min: config.bytes_min };
    let is_asked = accepted.contains_key(header::ACCEPT_ENCODING);
    // What is compressed already has its own tag.
    let is_done = response.headers().contains_key(header::CONTENT_ENCODING);
    if !config.is_on || !is_asked || is_done || !worthwhile.should_compress(&response) {
        return ready(response).left_future();
    }
    let mut asked = Request::new(());
    *asked.headers_mut() = accepted.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut response = Some(response);
    let answer = service_fn(move |_: Request<()>| {
        let response = response.take().unwrap_or_default();
        async { Ok::<_, Infallible>(response) }
    });
    let compressed = CompressionLayer::new().compress_when(worthwhile).layer(answer).oneshot(asked);
    let marked = |Ok(compressed): Result<Response<_>, Infallible>| {
        let mut compressed = compressed.map(Body::new);
        mark_tag(compressed.headers_mut());
        compressed
    };
    compressed.map(marked).boxed().right_future()
}

/// Other bytes have another strong validator (RFC 9110 8.8.3). The coding is put into the tag, as in `"a;gzip"`, instead of making it weak,
/// since a client must be able to give it back in `If-Match`.
fn mark_tag(headers: &mut HeaderMap) {
    let (Some(tag), Some(coding)) = (headers.get(header::ETAG), headers.get(header::CONTENT_ENCODING)) else { return };
    let Some(strong) = tag.as_bytes().strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\"")) else { return };
    let marked = HeaderValue::from_bytes(&[b"\"", strong, b";", coding.as_bytes(), b"\""].concat());
    // Both parts are of header values.
    marked.into_iter().for_each(|marked| drop(headers.insert(header::ETAG, marked)));
}

/// The tags that a client gives back, as they were before an answer was compressed.
pub(super) fn with_plain_tags(mut request: Request<Body>) -> Request<Body> {
    for name in [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_RANGE] {
        if let header::Entry::Occupied(mut entry) = request.headers_mut().entry(name) {
            entry.iter_mut().for_each(|value| {
                let plain = value.to_str().ok().and_then(plain_tags);
                plain.into_iter().for_each(|plain| *value = plain);
            });
        }
    }
    request
}

fn plain_tags(tags: &str) -> Option<HeaderValue> {
    let plain = CODINGS.iter().fold(tags.to_owned(), |tags, coding| tags.replace(&format!(";{coding}\""), "\""));
    (plain != tags).then(|| HeaderValue::from_str(&plain).ok())?
}

/// The headers of a request that say how its answer may be compressed.
pub(super) fn accepted(headers: &HeaderMap) -> HeaderMap {
    headers.get_all(header::ACCEPT_ENCODING).iter().map(|value| (header::ACCEPT_ENCODING, value.clone())).collect()
}

/// Decompresses what is sent, as it is read; its reader bounds how much that may be. What is not gzip stays as it is, to be refused.
pub(super) fn decompressed<'a, F>(
    request: Request<Body>,
    next: impl FnOnce(Request<Body>) -> F + Send + 'a,
) -> Either<F, BoxFuture<'a, Response<Body>>>
where
    F: Future<Output = Response<Body>> + Send + 'a,
{
    if !request.headers().contains_key(header::CONTENT_ENCODING) {
        return next(request).left_future();
    }
    let mut next = Some(next);
    let service = service_fn(move |request: Request<_>| {
        // In a box, since each layer around a future holds it more than once.
        let answer = next.take().map(|next| Box::pin(next(request.map(Body::new))));
        async move {
            match answer {
                Some(answer) => Ok::<_, Infallible>(answer.await),
                None => Ok(Response::new(Body::empty())),
            }
        }
    });
    let layer = RequestDecompressionLayer::new().no_br().no_zstd().pass_through_unaccepted(true);
    let answer = layer.layer(service).oneshot(request);
    answer.map(|Ok(response)| response.map(Body::new)).boxed().right_future()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_is_compressed() {
        let is = |content_type: &'static str| {
            is_text(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]))
        };

        assert!(is("application/json") && is("text/html; charset=utf-8") && is("application/problem+json"));
        assert!(!is("text/event-stream") && !is("application/grpc") && !is("image/png") && !is("application/zip"));
        assert!(!is_text(&HeaderMap::new()));
    }

    #[test]
    fn a_strong_validator_tells_the_coding_and_is_known_again() {
        let mut headers = HeaderMap::from_iter([
            (header::ETAG, HeaderValue::from_static("\"a\"")),
            (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ]);

        mark_tag(&mut headers);

        assert_eq!(headers[header::ETAG], "\"a;gzip\"");
        assert_eq!(plain_tags("W/\"b\", \"a;gzip\", \"c;br\"").unwrap(), "W/\"b\", \"a\", \"c\"");
        assert_eq!(plain_tags("\"a\""), None);
        headers.insert(header::ETAG, HeaderValue::from_static("W/\"a\""));
        mark_tag(&mut headers);
        assert_eq!(headers[header::ETAG], "W/\"a\"");
    }
}
