//! Takes the head of a request out of the buffer that it was read into.
//!
//! An HTTP/1 connection reads on while its request is answered, to see whether the client is still there. As long as anybody holds a piece of
//! what it has read, it needs another buffer for that: 8 KiB for each request, from the slow side of the allocator.

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, Version};
use http_body::Body;

/// Copies what the head of a request shares with its connection, unless its body shares it too. A target that is more than a path is left as
/// it is: only proxies are asked for such.
pub(crate) fn from_its_connection<B: Body>(mut request: Request<B>) -> Request<B> {
    if request.version() >= Version::HTTP_2 || !request.body().is_end_stream() {
        return request;
    }
    let mut copy = copied(&request);
    let target = copy.split_to(path(request.uri()).len());
    if let Ok(target) = PathAndQuery::from_maybe_shared(target)
        && !path(request.uri()).is_empty()
    {
        *request.uri_mut() = target.into();
    }
    for value in request.headers_mut().values_mut() {
        if let Ok(copied) = HeaderValue::from_maybe_shared(copy.split_to(value.len())) {
            *value = copied;
        }
    }
    request
}

/// The path and the values of the headers, one after the other.
fn copied<B>(request: &Request<B>) -> Bytes {
    let (path, headers) = (path(request.uri()), request.headers());
    let mut copy = BytesMut::with_capacity(path.len() + headers.values().map(HeaderValue::len).sum::<usize>());
    copy.extend_from_slice(path.as_bytes());
    headers.values().for_each(|value| copy.extend_from_slice(value.as_bytes()));
    copy.freeze()
}

fn path(uri: &Uri) -> &str {
    let is_all = uri.scheme().is_none() && uri.authority().is_none();
    uri.path_and_query().filter(|_| is_all).map_or("", PathAndQuery::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::body::Body as Empty;

    /// A request whose head is pieces of a buffer, and the buffer.
    fn read(version: Version, target: &str) -> (Request<Empty>, Bytes) {
        let buffer = Bytes::from(format!("{target} value").into_bytes());
        let mut request = Request::new(Empty::empty());
        *request.version_mut() = version;
        *request.uri_mut() = Uri::from_maybe_shared(buffer.slice(..target.len())).unwrap();
        let value = HeaderValue::from_maybe_shared(buffer.slice(target.len() + 1..)).unwrap();
        request.headers_mut().append("x-one", value.clone());
        request.headers_mut().append("x-one", value);
        (request, buffer)
    }

    #[test]
    fn a_head_does_not_hold_the_buffer_that_it_was_read_into() {
        let (request, buffer) = read(Version::HTTP_11, "/v1/orders/7?view=full");

        let request = from_its_connection(request);

        assert!(buffer.is_unique());
        assert_eq!(request.uri(), "/v1/orders/7?view=full");
        assert!(request.headers().get_all("x-one").iter().eq(["value", "value"]));
    }

    #[test]
    fn what_else_there_is_stays_as_it_was() {
        for (version, target) in [(Version::HTTP_2, "/v1/orders"), (Version::HTTP_11, "http://example.com/v1/orders")] {
            let (request, _) = read(version, target);
            assert_eq!(from_its_connection(request).uri(), target);
        }
    }
}
