//! Answers other than a violated field: what is missing, in the way, or to be tried again (AIP-193).

use crate::ERROR_DOMAIN;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// When a caller may try again after a fault of ours: a role that is restarted is back within a second.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A status with a reason for programs and what it is about.
#[must_use]
pub fn because<const N: usize>(code: Code, text: &str, reason: &str, metadata: [(&str, String); N]) -> Status {
    Status::with_error_details(code, text, details(reason, metadata))
}

/// A status that asks the caller to come again in a second.
#[must_use]
pub fn retry_later(code: Code, text: &str, reason: &str) -> Status {
    let mut details = details(reason, []);
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(code, text, details)
}

/// FAILED_PRECONDITION, with the state that forbids what was asked for.
#[must_use]
pub fn precondition<const N: usize>(text: &str, reason: &str, subject: &str, metadata: [(&str, String); N]) -> Status {
    let mut details = details(reason, metadata);
    details.add_precondition_failure_violation(reason, subject, text);
    Status::with_error_details(Code::FailedPrecondition, text, details)
}

/// FAILED_PRECONDITION, with all that forbids what was asked for: the kind of each, what it is about, and a sentence.
#[must_use]
pub fn preconditions(text: &str, reason: &str, violations: impl IntoIterator<Item = [String; 3]>) -> Status {
    let mut details = details(reason, []);
    for [kind, subject, sentence] in violations {
        details.add_precondition_failure_violation(kind, subject, sentence);
    }
    Status::with_error_details(Code::FailedPrecondition, text, details)
}

/// INTERNAL: nothing that the caller does will help.
#[must_use]
pub fn fault() -> Status {
    Status::internal("the call failed by a fault of the service; it has been logged")
}

fn details<const N: usize>(reason: &str, metadata: [(&str, String); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ErrorDetails::with_error_info(reason, ERROR_DOMAIN, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_its_reason_and_what_it_is_about() {
        let status = because(Code::NotFound, "there is none", "ORDER_UNKNOWN", [("order_id", "42".to_owned())]);

        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.metadata["order_id"].as_str()), ("ORDER_UNKNOWN", "42"));
    }

    #[test]
    fn who_may_come_again_is_told_when() {
        let status = retry_later(Code::Unavailable, "not now", "STORE_UNAVAILABLE");

        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(RETRY_AFTER));
    }
}
