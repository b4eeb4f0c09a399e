//! An answer that reaches the caller only as far as it belongs to him.

use crate::access::Conditions;
use crate::identity::Identity;
use crate::message::{self, Unreadable};
use crate::refusal::hidden;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::error;

/// Lets those messages of an answer pass that belong to the caller. What belongs to somebody else ends the answer as NOT_FOUND, in the very
/// words in which the caller is told of what does not exist.
pub(crate) fn checked(
    response: Response<Body>,
    conditions: Arc<Conditions>,
    identity: Arc<Identity>,
    bytes_max: usize,
) -> Response<Body> {
    if is_not_found(response.headers()) {
        return hidden().into_http();
    }
    response.map(|body| {
        let buffer = BytesMut::new();
        Body::new(Checked { body, buffer, conditions, identity, bytes_max, is_over: false })
    })
}

/// Whether headers or trailers say that something does not exist.
pub(crate) fn is_not_found(headers: &HeaderMap) -> bool {
    headers.get("grpc-status").is_some_and(|code| Code::from_bytes(code.as_bytes()) == Code::NotFound)
}

struct Checked {
    body: Body,
    /// A message that has not come to its end.
    buffer: BytesMut,
    conditions: Arc<Conditions>,
    identity: Arc<Identity>,
    bytes_max: usize,
    is_over: bool,
}

impl Checked {
    /// The next message that is here.
    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let taken = message::take(&mut self.buffer, self.bytes_max);
        let Some(message) = taken.map_err(unreadable)? else { return Ok(None) };
        if self.conditions.allow_answer(&self.identity, &message) {
            Ok(Some(message::framed(&message)))
        } else {
            Err(hidden())
        }
    }

    /// Ends the answer, and the call behind it.
    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        self.is_over = true;
        self.body = Body::empty();
        trailers(status)
    }
}

impl HttpBody for Checked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if self.is_over {
                return Poll::Ready(None);
            }
            match self.next() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                Err(status) => return Poll::Ready(Some(Ok(self.end(&status)))),
                Ok(None) => {}
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => {
                    self.is_over = true;
                    return Poll::Ready(other);
                }
            };
            match frame.into_data() {
                Ok(data) => self.buffer.put(data),
                Err(frame) => {
                    self.is_over = true;
                    let is_hidden = frame.trailers_ref().is_some_and(is_not_found);
                    return Poll::Ready(Some(Ok(if is_hidden { trailers(&hidden()) } else { frame })));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || (self.buffer.is_empty() && self.body.is_end_stream())
    }
}

fn unreadable(unreadable: Unreadable) -> Status {
    error!(?unreadable, "answer cannot be read, so that it cannot be known whose it is");
    Status::internal("the service's answer cannot be read")
}

/// The end of an answer.
pub(crate) fn trailers(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).expect("a status without metadata is a valid header map");
    Frame::trailers(trailers)
}
