//! The body of an answer, whose trailers are its last frame.

use super::Form;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;

/// The flag of a frame that holds trailers.
const TRAILERS: u8 = 0x80;
/// A flag and a length.
const PREFIX_BYTES: usize = 5;

/// An answer on its way to a caller of gRPC-Web. It always tells how the call ended, also when the body behind it breaks off.
pub(super) struct Answer {
    body: Body,
    form: Form,
    /// Whether the caller knows how the call ended: from the headers, or from the last frame.
    is_told: bool,
}

impl Answer {
    pub(super) fn new(body: Body, form: Form, is_told: bool) -> Self {
        Answer { body, form, is_told }
    }

    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        let mut trailers = HeaderMap::new();
        // A status whose metadata is no header is told without it.
        if status.add_header(&mut trailers).is_err() {
            trailers.insert("grpc-status", i32::from(status.code()).into());
        }
        self.trailers(&trailers)
    }

    fn trailers(&mut self, trailers: &HeaderMap) -> Frame<Bytes> {
        (self.is_told, self.body) = (true, Body::empty());
        self.data(trailers_frame(trailers))
    }

    fn data(&self, bytes: Bytes) -> Frame<Bytes> {
        Frame::data(match self.form {
            Form::Binary => bytes,
            Form::Text => BASE64_STANDARD.encode(bytes).into(),
        })
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(status)) => return Poll::Ready(Some(Ok(self.end(&status)))),
                None if self.is_told => return Poll::Ready(None),
                None => {
                    let status = Status::unknown("the service ended its answer without a status");
                    return Poll::Ready(Some(Ok(self.end(&status))));
                }
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(self.data(data)))),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return Poll::Ready(Some(Ok(self.trailers(&trailers))));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_told && self.body.is_end_stream()
    }
}

/// Trailers as the block of headers of HTTP/1.1 without its empty line, in a frame.
fn trailers_frame(trailers: &HeaderMap) -> Bytes {
    let mut block = BytesMut::new();
    block.put_bytes(0, PREFIX_BYTES);
    for (name, value) in trailers {
        block.put_slice(name.as_str().as_bytes());
        block.put_u8(b':');
        block.put_slice(value.as_bytes());
        block.put_slice(b"\r\n");
    }
    let length = u32::try_from(block.len() - PREFIX_BYTES).expect("what HTTP/2 has carried as headers is shorter");
    block[0] = TRAILERS;
    block[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    block.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    #[track_caller]
    fn check(frames: Vec<Result<Frame<Bytes>, Status>>, is_told: bool, expected: &str) {
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let answer = Answer::new(body, Form::Binary, is_told).collect().now_or_never().unwrap().unwrap().to_bytes();
        assert_eq!(String::from_utf8_lossy(&answer).replace(['\0', '\u{fffd}'], "."), expected);
    }

    #[test]
    fn every_answer_tells_how_the_call_ended() {
        let message = || Ok(Frame::data(Bytes::from_static(b"message;")));
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);

        check(vec![message(), Ok(Frame::trailers(trailers))], false, "message;....\u{f}grpc-status:0\r\n");
        check(vec![], true, "");
        check(vec![message(), Err(Status::aborted(""))], false, "message;....\u{10}grpc-status:10\r\n");
        let lost = "....Ygrpc-status:2\r\ngrpc-message:the%20service%20ended%20its%20answer%20without%20a%20status\r\n";
        check(vec![], false, lost);
    }
}
