//! A request that gets no answer from a service: a status, and what HTTP adds to it.

use bytes::Bytes;
use http::StatusCode;
use std::error::Error as StdError;
use std::time::Duration;
use tonic::{Code, Status};

/// Why a request was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: Status,
    /// The HTTP status, where the code alone does not tell it.
    pub(crate) http: Option<StatusCode>,
    /// The methods that the path has, for 405.
    pub(crate) allow: Option<String>,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Refused { status, http: None, allow: None }
    }
}

impl Refused {
    pub(crate) fn not_found(path: &str) -> Self {
        Status::not_found(format!("nothing is at {path}")).into()
    }

    pub(crate) fn method_not_allowed(method: &http::Method, allow: String) -> Self {
        let status = Status::unimplemented(format!("the path has no {method}; it has {allow}"));
        Refused { status, http: Some(StatusCode::METHOD_NOT_ALLOWED), allow: Some(allow) }
    }

    pub(crate) fn body_too_large(bytes_max: usize) -> Self {
        let status = Status::out_of_range(format!("the body has more than {bytes_max} bytes"));
        Refused { http: Some(StatusCode::PAYLOAD_TOO_LARGE), ..status.into() }
    }

    pub(crate) fn body_too_slow(within: Duration) -> Self {
        let status = Status::deadline_exceeded(format!("the body did not arrive within {within:?}"));
        Refused { http: Some(StatusCode::REQUEST_TIMEOUT), ..status.into() }
    }

    /// A body that broke off, or is not what its `Content-Encoding` says. Names the innermost cause, since those around it only repeat that a body broke.
    pub(crate) fn body_broken(error: &(dyn StdError + 'static)) -> Self {
        let mut cause = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Status::invalid_argument(format!("the body could not be read to its end: {cause}")).into()
    }

    pub(crate) fn unsupported_media(message: &str) -> Self {
        let status = Status::invalid_argument(message);
        Refused { http: Some(StatusCode::UNSUPPORTED_MEDIA_TYPE), ..status.into() }
    }

    pub(crate) fn not_acceptable() -> Self {
        let status = Status::invalid_argument(
            "a stream is given as text/event-stream, application/x-ndjson or application/json",
        );
        Refused { http: Some(StatusCode::NOT_ACCEPTABLE), ..status.into() }
    }

    pub(crate) fn precondition_failed(message: &str) -> Self {
        Refused { http: Some(StatusCode::PRECONDITION_FAILED), ..Status::failed_precondition(message).into() }
    }

    /// The same of a message in a client stream, counted from 1.
    pub(crate) fn in_message(self, count: u64) -> Self {
        let text = format!("message {count} of the stream: {}", self.status.message());
        let details = Bytes::copy_from_slice(self.status.details());
        Refused { status: Status::with_details(self.status.code(), text, details), ..self }
    }

    /// The HTTP status of the answer.
    pub(crate) fn http_status(&self) -> StatusCode {
        self.http.unwrap_or_else(|| http_status(self.status.code()))
    }
}

/// The HTTP status of a code, as `google/rpc/code.proto` maps them.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
