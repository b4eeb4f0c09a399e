//! One message there, and one back: what nearly all calls are, without the buffers that streams need.
//!
//! tonic reserves 8 KiB for each direction of a call, and a box for each layer of its stream. What is not usual about an answer is left to it.

use crate::codec::Raw;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::response::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use std::convert::Infallible;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status, Streaming};

/// The flag of compression and the length, before each message (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX_BYTES: usize = 5;
/// Longer messages are not copied behind their prefix, but sent after it. 16 KiB: a frame of HTTP/2.
const COPIED_BYTES_MAX: usize = 16 * 1024;
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// A call with one message.
///
/// # Errors
/// When the message is longer than gRPC can say.
pub(crate) fn request(path: PathAndQuery, metadata: HeaderMap, message: Bytes) -> Result<Request<Body>, Status> {
    let length = u32::try_from(message.len());
    let length =
        length.map_err(|_too_long| Status::resource_exhausted("the request is longer than a message can be"))?;
    let mut request = Request::new(framed(length, message));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = path.into();
    let headers = request.headers_mut();
    *headers = metadata;
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(request)
}

fn framed(length: u32, message: Bytes) -> Body {
    let is_copied = message.len() <= COPIED_BYTES_MAX;
    let mut prefix = BytesMut::with_capacity(PREFIX_BYTES + if is_copied { message.len() } else { 0 });
    prefix.put_u8(0);
    prefix.put_u32(length);
    if is_copied {
        prefix.put(message);
        return Body::new(Full::new(prefix.freeze()));
    }
    let frames = [prefix.freeze(), message].map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

/// The one message of an answer, and what came before it.
///
/// # Errors
/// The service's status, or what is wrong with its answer.
pub(crate) fn answer(
    response: Response<Body>,
    bytes_max: usize,
) -> impl Future<Output = Result<(HeaderMap, Bytes), Status>> {
    let (head, mut body) = response.into_parts();
    async move {
        if !is_usual(&head) {
            return Box::pin(unusual(Response::from_parts(head, body), bytes_max)).await;
        }
        let mut message = Gathered { bytes_max, first: Bytes::new(), rest: BytesMut::new() };
        let trailers = loop {
            let Some(frame) = body.frame().await else { break HeaderMap::new() };
            match frame?.into_data() {
                Ok(data) => message.add(data)?,
                // Nothing follows them.
                Err(frame) => break frame.into_trailers().unwrap_or_default(),
            }
        };
        if trailers.get(STATUS).is_some_and(|status| status == "0") {
            return Ok((head.headers, message.only()?));
        }
        match Status::from_header_map(&trailers) {
            Some(status) => Err(status),
            None => Box::pin(unusual(Response::from_parts(head, Body::empty()), bytes_max)).await,
        }
    }
}

/// The messages of an answer that is a stream, and what came before them.
///
/// # Errors
/// The service's status, if it is all that there is.
pub(crate) fn messages(response: Response<Body>, bytes_max: usize) -> Result<(MetadataMap, Streaming<Bytes>), Status> {
    let (head, body) = response.into_parts();
    check_encoding(&head)?;
    let messages = match Status::from_header_map(&head.headers) {
        Some(status) if status.code() != Code::Ok => return Err(status),
        Some(_) => Streaming::new_empty(Raw, body),
        None => Streaming::new_response(Raw, body, head.status, None, Some(bytes_max)),
    };
    Ok((MetadataMap::from_headers(head.headers), messages))
}

fn check_encoding(head: &Parts) -> Result<(), Status> {
    match head.headers.get(ENCODING).filter(|encoding| *encoding != "identity") {
        None => Ok(()),
        Some(encoding) => {
            let complaint = format!("the service's answer is compressed with {encoding:?}, which nobody asked for");
            Err(Status::unimplemented(complaint))
        }
    }
}

/// Whether what follows is a plain message and then a status.
fn is_usual(head: &Parts) -> bool {
    let is_plain = head.headers.get(ENCODING).is_none_or(|encoding| encoding == "identity");
    head.status == StatusCode::OK && is_plain && !head.headers.contains_key(STATUS)
}

/// Lets tonic say what is wrong.
async fn unusual(mut response: Response<Body>, bytes_max: usize) -> Result<(HeaderMap, Bytes), Status> {
    // The page of a proxy is no message; its HTTP status says what to make of it.
    if response.status() != StatusCode::OK {
        *response.body_mut() = Body::empty();
    }
    let (metadata, mut messages) = messages(response, bytes_max)?;
    let message = messages.message().await?.ok_or_else(without_message)?;
    match messages.message().await? {
        None => Ok((metadata.into_headers(), message)),
        Some(_) => Err(several_messages()),
    }
}

/// The bytes of an answer, which is nearly always one piece.
struct Gathered {
    bytes_max: usize,
    first: Bytes,
    /// All of it, if there were several pieces.
    rest: BytesMut,
}

impl Gathered {
    fn add(&mut self, piece: Bytes) -> Result<(), Status> {
        if self.rest.is_empty() && self.first.is_empty() {
            self.first = piece;
        } else {
            if self.rest.is_empty() {
                self.rest.reserve(self.expected().max(self.first.len() + piece.len()));
                self.rest.put(std::mem::take(&mut self.first));
            }
            self.rest.put(piece);
        }
        self.check_prefix()
    }

    fn so_far(&self) -> &[u8] {
        if self.rest.is_empty() { &self.first } else { &self.rest }
    }

    /// Bytes of the message with its prefix, as far as that is known.
    fn expected(&self) -> usize {
        match *self.so_far() {
            [_, a, b, c, d, ..] => PREFIX_BYTES + u32::from_be_bytes([a, b, c, d]) as usize,
            _ => 0,
        }
    }

    /// Refuses a message as soon as it is known to be too long, and more than one.
    fn check_prefix(&self) -> Result<(), Status> {
        let so_far = self.so_far();
        if so_far.first().is_some_and(|flag| *flag != 0) {
            return Err(Status::internal("the service's answer is compressed although it says that it is not"));
        }
        if so_far.len() < PREFIX_BYTES {
            return Ok(());
        }
        let length = self.expected() - PREFIX_BYTES;
        if length > self.bytes_max {
            let bytes_max = self.bytes_max;
            let complaint = format!("the service's answer has {length} bytes, of which {bytes_max} are taken at most");
            return Err(Status::out_of_range(complaint));
        }
        if so_far.len() > self.expected() { Err(several_messages()) } else { Ok(()) }
    }

    fn only(self) -> Result<Bytes, Status> {
        let (length, expected) = (self.so_far().len(), self.expected());
        match length {
            0 => Err(without_message()),
            length if length < PREFIX_BYTES || length < expected => {
                Err(Status::internal("the service's answer ended within its message"))
            }
            _ => {
                let mut message = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
                message.advance(PREFIX_BYTES);
                Ok(message)
            }
        }
    }
}

fn without_message() -> Status {
    Status::internal("the service answered without a message")
}

fn several_messages() -> Status {
    Status::internal("the service answered a unary call with several messages")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    const OK: &[(&str, &str)] = &[("grpc-status", "0")];

    fn response(pieces: &[&'static [u8]], trailers: &[(&'static str, &str)]) -> Response<Body> {
        let mut frames: Vec<Result<Frame<Bytes>, Infallible>> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece)))).collect();
        if !trailers.is_empty() {
            let trailers = trailers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
            frames.push(Ok(Frame::trailers(trailers.collect())));
        }
        Response::new(Body::new(StreamBody::new(stream::iter(frames))))
    }

    async fn check(response: Response<Body>, expected: Result<&[u8], (Code, &str)>) {
        match (answer(response, 16).await, expected) {
            (Ok((_, message)), expected) => assert_eq!(Ok(&message[..]), expected),
            (Err(status), Err((code, text))) => {
                assert!(status.code() == code && status.message().contains(text), "{status:?}");
            }
            (Err(status), Ok(_)) => panic!("{status:?}"),
        }
    }

    #[tokio::test]
    async fn a_message_comes_in_as_many_pieces_as_it_likes() {
        check(response(&[b"\0\0\0\0\x03abc"], OK), Ok(b"abc")).await;
        check(response(&[b"\0\0\0", b"\0\x03", b"", b"a", b"bc"], OK), Ok(b"abc")).await;
        check(response(&[b"\0\0\0\0\0"], OK), Ok(b"")).await;
    }

    #[tokio::test]
    async fn a_status_that_is_not_ok_is_the_answer_whatever_came_before_it() {
        let failed = [("grpc-status", "5"), ("grpc-message", "no%20order")];

        check(response(&[b"\0\0\0\0\x03abc"], &failed), Err((Code::NotFound, "no order"))).await;
        check(response(&[], &failed), Err((Code::NotFound, "no order"))).await;
        check(Status::not_found("no order").into_http(), Err((Code::NotFound, "no order"))).await;
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_told_as_a_fault_of_the_service() {
        check(response(&[], OK), Err((Code::Internal, "without a message"))).await;
        check(response(&[b"\0\0\0\0\x03ab"], OK), Err((Code::Internal, "ended within"))).await;
        check(response(&[b"\0\0"], OK), Err((Code::Internal, "ended within"))).await;
        check(response(&[b"\0\0\0\0\x01a\0\0\0\0\x01b"], OK), Err((Code::Internal, "several"))).await;
        check(response(&[b"\x01\0\0\0\x01a"], OK), Err((Code::Internal, "compressed"))).await;
        check(response(&[b"\0\0\0\0\x11a"], OK), Err((Code::OutOfRange, "17 bytes"))).await;
        check(response(&[b"\0\0\0\0\x01a"], &[]), Err((Code::Unknown, ""))).await;
    }

    #[tokio::test]
    async fn a_page_of_a_proxy_is_told_by_its_status() {
        let mut page = response(&[b"<html>"], &[]);
        *page.status_mut() = StatusCode::SERVICE_UNAVAILABLE;

        let status = answer(page, 16).await.unwrap_err();

        assert_eq!(status.code(), Code::Unavailable);
    }

    #[tokio::test]
    async fn a_long_message_is_sent_behind_its_prefix() {
        let message = Bytes::from(vec![7; COPIED_BYTES_MAX + 1]);

        let request = request(PathAndQuery::from_static("/a.B/C"), HeaderMap::new(), message.clone()).unwrap();

        let sent = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(sent[..PREFIX_BYTES], [0, 0, 0, 0x40, 1]);
        assert_eq!(sent[PREFIX_BYTES..], message);
    }
}
