//! What is kept of a call: what was asked, and how it was answered.

use crate::message::Collected;
use bytes::Bytes;
use http::{HeaderMap, Response};
use tonic::Code;
use tonic::body::Body;

/// A call that was made under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// SHA-256 of the request.
    pub(crate) fingerprint: [u8; 32],
    pub(crate) state: State,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Whoever makes it has until then, in milliseconds since 1970, to answer; afterwards he is taken for dead.
    Running { until_ms: u64 },
    /// It was answered.
    Done(Box<Answer>),
    /// It was answered, at a length that is not kept.
    NotKept,
}

/// An answer as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) data: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

/// Whether an answer says something about the request, so that it would be the same again. What may pass does not: the call is made again.
pub(crate) fn is_worth_keeping(code: Code) -> bool {
    match code {
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange => true,
        Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

impl Answer {
    pub(crate) fn of(headers: &HeaderMap, collected: &Collected) -> Self {
        Answer { headers: headers.clone(), data: collected.data.clone(), trailers: collected.trailers.clone() }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Collected { data: self.data, trailers: self.trailers }.into_body());
        *response.headers_mut() = self.headers;
        response
    }
}

impl Record {
    /// The bytes that it takes, about.
    pub(crate) fn size(&self) -> usize {
        let headers = |headers: &HeaderMap| -> usize {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum()
        };
        let own = size_of::<Record>();
        match &self.state {
            State::Running { .. } | State::NotKept => own,
            State::Done(answer) => {
                own + headers(&answer.headers) + answer.data.len() + answer.trailers.as_ref().map_or(0, headers)
            }
        }
    }
}
