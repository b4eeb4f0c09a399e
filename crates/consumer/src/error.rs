//! What can go wrong in the Consumer Service, and what a caller is told of it.

use proto::comanda::order::v1::rejection::reason::Code as Reason;
use proto::{ConsumerId, Violation, Violations, refusal};
use tonic::{Code, Status};

/// Why the service did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be brought up to date.
    #[error("failed to migrate the database of consumers")]
    Migrate(#[source] store::Error),
    /// The commands cannot be received.
    #[error("failed to subscribe to the commands")]
    Subscribe(#[source] messaging::Error),
    /// The request is not as the contract wants it.
    #[error("request is not valid")]
    Invalid(Violations),
    /// There is no such consumer.
    #[error("no consumer {0}")]
    Unknown(ConsumerId),
    /// Others changed the consumer each time that this change was tried.
    #[error("consumer {0} was changed by others again and again")]
    Overtaken(ConsumerId),
    /// A consumer cannot be read.
    #[error("failed to load consumer {consumer_id}")]
    Load {
        /// Which one.
        consumer_id: ConsumerId,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// A page of consumers cannot be read.
    #[error("failed to list consumers")]
    List(#[source] store::Error),
    /// A consumer cannot be written.
    #[error("failed to save consumer {consumer_id}")]
    Save {
        /// Which one.
        consumer_id: ConsumerId,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// Whether a consumer was written is not known.
    #[error("consumer {consumer_id} may have been saved, or not")]
    SaveUnknown {
        /// Which one.
        consumer_id: ConsumerId,
        /// Why.
        #[source]
        source: store::Error,
    },
}

impl Error {
    /// Whether the same request may succeed later, unchanged.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Migrate(source) | Error::List(source) | Error::Load { source, .. } | Error::Save { source, .. } => {
                source.is_transient()
            }
            Error::Overtaken(_) | Error::SaveUnknown { .. } => true,
            Error::Subscribe(_) | Error::Invalid(_) | Error::Unknown(_) => false,
        }
    }

    /// Whether somebody who runs the service should know: it is neither the caller's mistake nor a race that he lost.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Error::Invalid(_) | Error::Unknown(_) | Error::Overtaken(_) => false,
            Error::Migrate(_)
            | Error::Subscribe(_)
            | Error::Load { .. }
            | Error::List(_)
            | Error::Save { .. }
            | Error::SaveUnknown { .. } => true,
        }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Error::Invalid(violation.into())
    }
}

impl From<Error> for Status {
    /// The only place where this crate's errors meet the wire. Pure: the gRPC room logs.
    fn from(error: Error) -> Self {
        let is_transient = error.is_transient();
        match error {
            Error::Invalid(violations) => violations.into(),
            Error::Unknown(consumer_id) => unknown(consumer_id),
            Error::Overtaken(_) => {
                let text = "the consumer is being changed by others at the same time; repeat the call";
                refusal::retry_later(Code::Aborted, text, "OVERTAKEN")
            }
            Error::SaveUnknown { .. } => {
                let text = "the consumer may have been saved or not; look whether it was before you repeat the call";
                refusal::retry_later(Code::Unavailable, text, "OUTCOME_UNKNOWN")
            }
            Error::Migrate(_) | Error::Subscribe(_) | Error::Load { .. } | Error::List(_) | Error::Save { .. } => {
                match is_transient {
                    true => refusal::retry_later(
                        Code::Unavailable,
                        "consumers are not available now; repeat the call",
                        "STORE_UNAVAILABLE",
                    ),
                    false => refusal::fault(),
                }
            }
        }
    }
}

fn unknown(consumer_id: ConsumerId) -> Status {
    let text = format!("there is no consumer {consumer_id}; check consumer_id, or create the consumer first");
    let metadata = [("consumer_id", consumer_id.to_string())];
    refusal::because(Code::NotFound, &text, Reason::ConsumerUnknown.as_str_name(), metadata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::refusal::RETRY_AFTER;
    use tonic_types::StatusExt;

    fn load(source: store::Error) -> Error {
        Error::Load { consumer_id: ConsumerId::generate(), source }
    }

    #[track_caller]
    fn check(error: Error, code: Code, text: &str) {
        let status = Status::from(error);
        assert_eq!(status.code(), code);
        assert!(status.message().contains(text), "{status}");
        assert!(!status.message().contains("SELECT"), "{status}");
    }

    #[test]
    fn a_fault_that_may_pass_asks_for_another_call() {
        let locked = store::Error::Statement { sql: "SELECT 1", is_transient: true, source: "locked".into() };

        let status = Status::from(load(locked));

        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "consumers are not available now; repeat the call");
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(RETRY_AFTER));
    }

    #[test]
    fn a_fault_that_stays_is_internal_and_tells_no_sql() {
        let broken = store::Error::Statement { sql: "SELECT 1", is_transient: false, source: "no table".into() };

        check(load(broken), Code::Internal, "it has been logged");
        check(load(store::Error::Column { column: 1, expected: "text" }), Code::Internal, "it has been logged");
    }

    #[test]
    fn who_does_not_know_says_so() {
        let unknown = Error::SaveUnknown { consumer_id: ConsumerId::generate(), source: store::Error::Closed };

        check(unknown, Code::Unavailable, "may have been saved or not");
    }

    #[test]
    fn a_lost_race_is_aborted() {
        check(Error::Overtaken(ConsumerId::generate()), Code::Aborted, "repeat the call");
    }

    #[test]
    fn an_unknown_consumer_has_a_reason_for_programs() {
        let status = Status::from(Error::Unknown(ConsumerId::generate()));

        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.get_details_error_info().unwrap().reason, "CONSUMER_UNKNOWN");
    }
}
