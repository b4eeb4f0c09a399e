//! What callers are told when they are refused: a status with `google.rpc` details, and the headers that HTTP has for the same.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::collections::HashMap;
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Why a call was refused, as a label of a counter and, in capitals, as the reason of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    CredentialsMissing,
    CredentialsInvalid,
    KeysUnavailable,
    Forbidden,
    NotOwn,
    RateLimited,
    TimeoutInvalid,
    KeyInvalid,
    KeyReused,
    StillRunning,
    AnswerNotKept,
    StoreUnavailable,
    MessageUnreadable,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::CredentialsMissing => "CREDENTIALS_MISSING",
            Reason::CredentialsInvalid => "CREDENTIALS_INVALID",
            Reason::KeysUnavailable => "KEYS_UNAVAILABLE",
            Reason::Forbidden => "FORBIDDEN",
            Reason::NotOwn => "NOT_OWN",
            Reason::RateLimited => "RATE_LIMITED",
            Reason::TimeoutInvalid => "TIMEOUT_INVALID",
            Reason::KeyInvalid => "IDEMPOTENCY_KEY_INVALID",
            Reason::KeyReused => "IDEMPOTENCY_KEY_REUSED",
            Reason::StillRunning => "STILL_RUNNING",
            Reason::AnswerNotKept => "ANSWER_NOT_KEPT",
            Reason::StoreUnavailable => "STORE_UNAVAILABLE",
            Reason::MessageUnreadable => "MESSAGE_UNREADABLE",
        }
    }

    fn code(self) -> Code {
        match self {
            Reason::CredentialsMissing | Reason::CredentialsInvalid => Code::Unauthenticated,
            Reason::KeysUnavailable | Reason::StoreUnavailable => Code::Unavailable,
            Reason::Forbidden | Reason::NotOwn => Code::PermissionDenied,
            Reason::RateLimited => Code::ResourceExhausted,
            Reason::TimeoutInvalid | Reason::KeyInvalid | Reason::MessageUnreadable => Code::InvalidArgument,
            // As CreateOrder has it; to HTTP it is 409.
            Reason::KeyReused => Code::AlreadyExists,
            Reason::StillRunning => Code::Aborted,
            Reason::AnswerNotKept => Code::FailedPrecondition,
        }
    }
}

/// A refusal on its way to the caller.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    told: Box<Told>,
}

#[derive(Debug)]
struct Told {
    message: String,
    code: Code,
    retry_after: Option<Duration>,
    field: Option<&'static str>,
    quota: Option<String>,
    headers: HeaderMap,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        let (message, code) = (message.into(), reason.code());
        let told = Told { message, code, retry_after: None, field: None, quota: None, headers: HeaderMap::new() };
        Refusal { reason, told: Box::new(told) }
    }

    /// The same with another code than the reason's own.
    pub(crate) fn with_code(mut self, code: Code) -> Self {
        self.told.code = code;
        self
    }

    /// Tells when to come again.
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.told.retry_after = Some(after);
        self
    }

    /// Names the field, or header, that is wrong.
    pub(crate) fn field(mut self, field: &'static str) -> Self {
        self.told.field = Some(field);
        self
    }

    /// Names the rate that is used up.
    pub(crate) fn quota(mut self, name: &str) -> Self {
        self.told.quota = Some(name.to_owned());
        self
    }

    /// Adds headers.
    pub(crate) fn headers(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        self.told.headers.extend(headers);
        self
    }

    /// The status that tells it.
    pub(crate) fn into_status(self, domain: &str) -> Status {
        let mut details = ErrorDetails::with_error_info(self.reason.name(), domain, HashMap::new());
        let Told { message, code, retry_after, field, quota, mut headers } = *self.told;
        if let Some(after) = retry_after {
            details.set_retry_info(Some(after));
            let seconds = after.as_millis().div_ceil(1000);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
        }
        if let Some(field) = field {
            details.add_bad_request_violation(field, message.clone());
        }
        if let Some(quota) = quota {
            details.add_quota_failure_violation(quota, message.clone());
        }
        if code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let metadata = MetadataMap::from_headers(headers);
        Status::with_error_details_and_metadata(code, message, details, metadata)
    }
}

/// What a caller is told of something that belongs to somebody else, or to nobody: the same, so that he cannot tell which.
pub(crate) fn hidden() -> Status {
    Status::not_found("no such thing is here for you")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_when_to_come_again() {
        let refusal =
            Refusal::new(Reason::RateLimited, "too often").retry_after(Duration::from_millis(1_200)).quota("all");

        let status = refusal.into_status("test");

        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too often"));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RATE_LIMITED", "test"));
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_millis(1_200)));
        assert_eq!(status.get_details_quota_failure().unwrap().violations[0].subject, "all");
        assert_eq!(status.metadata().get("retry-after").unwrap(), "2");
    }

    #[test]
    fn a_caller_without_an_identity_is_told_how_to_show_one() {
        let status = Refusal::new(Reason::CredentialsMissing, "who are you").into_status("test");

        assert_eq!(status.metadata().get("www-authenticate").unwrap(), "Bearer");
    }
}
