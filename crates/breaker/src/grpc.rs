//! What a gRPC answer says about the peer: its status, which comes in the trailers, in the head (Trailers-Only), or not at all.

use crate::{Classify, Outcome, Rejected, Verdict};
use ::http::header::CONTENT_TYPE;
use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use std::time::Duration;

/// When a server wants the call again, in milliseconds; negative: not at all (gRFC A6).
pub const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Status codes of gRPC by their numbers (`doc/statuscodes.md`), as `tonic::Code as i32` gives them.
mod code {
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const UNAVAILABLE: i32 = 14;
}

/// What a status says about the peer that sent it. Whoever refuses an order, an id or a caller is well; whoever breaks off is not.
///
/// `CANCELLED` is of the peer, since a call that we cancel has no status. `DEADLINE_EXCEEDED` is a failure here; [`Table`] lets it pass if the call
/// had no fair chance. A code that gRPC does not have is `UNKNOWN`.
#[must_use]
pub fn outcome(code: i32, has_pushback: bool) -> Outcome {
    match code {
        code::RESOURCE_EXHAUSTED => Outcome::Pushback,
        code::UNAVAILABLE if has_pushback => Outcome::Pushback,
        // OK, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED,
        // UNAUTHENTICATED.
        0 | 3 | 5 | 6 | 7 | 9 | 10 | 11 | code::UNIMPLEMENTED | 16 => Outcome::Success,
        // CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS.
        _ => Outcome::Failure,
    }
}

/// Judges gRPC answers by [`outcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// A deadline that was shorter than this says nothing about the peer. 0 by default: every one does.
    pub fair_chance: Duration,
    /// What `UNIMPLEMENTED` says. Success by default; failure while a new version is rolled out.
    pub unimplemented: Outcome,
}

impl Default for Table {
    fn default() -> Self {
        Table { fair_chance: Duration::ZERO, unimplemented: Outcome::Success }
    }
}

impl Table {
    fn judge(&self, code: i32, headers: &HeaderMap, elapsed: Duration) -> Outcome {
        match code {
            code::DEADLINE_EXCEEDED if elapsed < self.fair_chance => Outcome::Ignored,
            code::UNIMPLEMENTED => self.unimplemented,
            code => outcome(code, headers.contains_key(PUSHBACK)),
        }
    }
}

impl Classify for Table {
    fn head(&self, status: StatusCode, headers: &HeaderMap, elapsed: Duration) -> Verdict {
        if let Some(code) = headers.get(STATUS) {
            return Verdict::Final(self.judge(number(code), headers, elapsed));
        }
        if status == StatusCode::OK {
            return Verdict::AtEnd;
        }
        Verdict::Final(of_proxy(status, headers))
    }

    fn end(&self, trailers: Option<&HeaderMap>, elapsed: Duration) -> Outcome {
        let Some(trailers) = trailers else { return outcome(code::UNKNOWN, false) };
        let code = trailers.get(STATUS).map_or(code::UNKNOWN, number);
        self.judge(code, trailers, elapsed)
    }

    /// A Trailers-Only answer with `UNAVAILABLE` and when to come again.
    fn refuse(&self, rejected: &Rejected) -> Response<()> {
        let mut answer = Response::new(());
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(STATUS, HeaderValue::from(code::UNAVAILABLE));
        headers.insert(PUSHBACK, HeaderValue::from(rejected.retry_after_ms));
        // Plain ASCII without a percent sign, so it needs no encoding.
        if let Ok(message) = HeaderValue::from_str(&rejected.to_string()) {
            headers.insert(MESSAGE, message);
        }
        answer
    }
}

fn number(value: &HeaderValue) -> i32 {
    value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(code::UNKNOWN)
}

/// An answer that is not gRPC's comes from something in between (`doc/http-grpc-status-mapping.md`).
fn of_proxy(status: StatusCode, headers: &HeaderMap) -> Outcome {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Outcome::Success,
        status if crate::http::is_pushback(status, headers) => Outcome::Pushback,
        _ => Outcome::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_code_has_its_row() {
        let well = [0, 3, 5, 6, 7, 9, 10, 11, 12, 16];
        let broken = [1, 2, 4, 13, 14, 15, 17, -1, i32::MAX];

        assert!(well.iter().all(|code| outcome(*code, false) == Outcome::Success));
        assert!(broken.iter().all(|code| outcome(*code, false) == Outcome::Failure));
        assert_eq!(outcome(8, false), Outcome::Pushback);
    }

    #[test]
    fn only_what_asks_for_less_is_a_pushback() {
        assert_eq!(outcome(14, true), Outcome::Pushback);
        assert_eq!(outcome(13, true), Outcome::Failure);
        assert_eq!(outcome(0, true), Outcome::Success);
    }

    #[test]
    fn a_deadline_without_a_fair_chance_says_nothing() {
        let table = Table { fair_chance: Duration::from_millis(50), ..Table::default() };
        let mut trailers = HeaderMap::new();
        trailers.insert(STATUS, HeaderValue::from(4));

        assert_eq!(table.end(Some(&trailers), Duration::from_millis(49)), Outcome::Ignored);
        assert_eq!(table.end(Some(&trailers), Duration::from_millis(50)), Outcome::Failure);
    }

    #[test]
    fn an_answer_of_a_proxy_is_judged_by_its_http_status() {
        let judge = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            Table::default().head(status, &HeaderMap::new(), Duration::ZERO)
        };

        assert_eq!(judge(502), Verdict::Final(Outcome::Failure));
        assert_eq!(judge(404), Verdict::Final(Outcome::Success));
        assert_eq!(judge(429), Verdict::Final(Outcome::Pushback));
        assert_eq!(judge(200), Verdict::AtEnd);
    }

    #[test]
    fn a_status_that_is_no_number_or_is_missing_is_a_failure() {
        let mut trailers = HeaderMap::new();

        assert_eq!(Table::default().end(None, Duration::ZERO), Outcome::Failure);
        assert_eq!(Table::default().end(Some(&trailers), Duration::ZERO), Outcome::Failure);
        trailers.insert(STATUS, HeaderValue::from_static("fine"));
        assert_eq!(Table::default().end(Some(&trailers), Duration::ZERO), Outcome::Failure);
    }
}
