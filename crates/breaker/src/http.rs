//! What a plain HTTP answer says about the peer: its status, and whether its body comes to an end.

use crate::{Classify, Outcome, Rejected, Verdict};
use ::http::header::RETRY_AFTER;
use ::http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::time::Duration;

/// Judges HTTP answers: 429, and 503 with `Retry-After`, are a pushback; other 5xx but 501 are failures; all else is a success when its
/// body has come to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Table;

impl Classify for Table {
    fn head(&self, status: StatusCode, headers: &HeaderMap, _elapsed: Duration) -> Verdict {
        if is_pushback(status, headers) {
            return Verdict::Final(Outcome::Pushback);
        }
        if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
            return Verdict::Final(Outcome::Failure);
        }
        Verdict::AtEnd
    }

    fn end(&self, _trailers: Option<&HeaderMap>, _elapsed: Duration) -> Outcome {
        Outcome::Success
    }

    /// 503 with `Retry-After` in whole seconds, rounded up (RFC 9110 10.2.3).
    fn refuse(&self, rejected: &Rejected) -> Response<()> {
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let seconds = rejected.retry_after_ms.div_ceil(1_000);
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        answer
    }
}

/// Whether the peer asks for less.
pub(crate) fn is_pushback(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(status: StatusCode, headers: &HeaderMap) -> Verdict {
        Table.head(status, headers, Duration::ZERO)
    }

    #[test]
    fn a_server_error_is_a_failure_and_a_refusal_is_not() {
        let none = HeaderMap::new();

        assert_eq!(judge(StatusCode::INTERNAL_SERVER_ERROR, &none), Verdict::Final(Outcome::Failure));
        assert_eq!(judge(StatusCode::GATEWAY_TIMEOUT, &none), Verdict::Final(Outcome::Failure));
        assert_eq!(judge(StatusCode::SERVICE_UNAVAILABLE, &none), Verdict::Final(Outcome::Failure));
        assert_eq!(judge(StatusCode::NOT_FOUND, &none), Verdict::AtEnd);
        assert_eq!(judge(StatusCode::NOT_IMPLEMENTED, &none), Verdict::AtEnd);
    }

    #[test]
    fn whoever_says_when_to_come_again_asks_for_less() {
        let mut headers = HeaderMap::new();

        assert_eq!(judge(StatusCode::TOO_MANY_REQUESTS, &headers), Verdict::Final(Outcome::Pushback));
        headers.insert(RETRY_AFTER, HeaderValue::from(1));
        assert_eq!(judge(StatusCode::SERVICE_UNAVAILABLE, &headers), Verdict::Final(Outcome::Pushback));
    }
}
