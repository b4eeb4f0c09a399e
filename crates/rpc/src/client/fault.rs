//! Why a call has no answer of the service.

use http::{HeaderMap, HeaderName};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `ErrorInfo.domain` of what this crate answers by itself (AIP-193).
const ERROR_DOMAIN: &str = "comanda";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// When a caller should come again: a role that is restarted is back within a second.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a call has no answer of the service.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// No endpoint is there, or none could be reached in time.
    #[error("failed to find an endpoint that can be reached")]
    NoEndpoint,
    /// The service is not plugged in, in this process.
    #[error("failed to find the service in this process")]
    NotRunning,
    /// The breaker of the service is open.
    #[error("failed to pass the breaker, which is open")]
    BreakerOpen {
        /// When it lets the next call pass, at the earliest.
        retry_after: Duration,
    },
    /// There are too many calls in flight already.
    #[error("failed to admit the call: {in_flight} are in flight")]
    Shed {
        /// How many.
        in_flight: usize,
    },
    /// The endpoint did not take the call, so that it may be made elsewhere.
    #[error("failed to hand the call to {peer}")]
    NotSent {
        /// Which endpoint.
        peer: Arc<str>,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The line broke before the answer came; the call may have taken effect.
    #[error("failed to hear an answer from {peer}")]
    Broken {
        /// Which endpoint.
        peer: Arc<str>,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The attempt took too long; it may have taken effect.
    #[error("failed to hear an answer from {peer} within {after:?}")]
    Late {
        /// Which endpoint.
        peer: Arc<str>,
        /// How long it was waited for.
        after: Duration,
    },
    /// The deadline of the call has passed; it may have taken effect.
    #[error("failed to answer before the deadline")]
    Deadline,
    /// The `grpc-timeout` of the caller cannot be read.
    #[error(transparent)]
    Malformed(#[from] crate::Error),
}

impl Fault {
    /// Whether it is certain that the service has not begun the call.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        match self {
            Fault::NoEndpoint
            | Fault::NotRunning
            | Fault::BreakerOpen { .. }
            | Fault::Shed { .. }
            | Fault::NotSent { .. }
            | Fault::Malformed(_) => true,
            Fault::Broken { .. } | Fault::Late { .. } | Fault::Deadline => false,
        }
    }

    /// The endpoint that an attempt was made at.
    #[must_use]
    pub fn peer(&self) -> Option<&Arc<str>> {
        match self {
            Fault::NotSent { peer, .. } | Fault::Broken { peer, .. } | Fault::Late { peer, .. } => Some(peer),
            Fault::NoEndpoint
            | Fault::NotRunning
            | Fault::BreakerOpen { .. }
            | Fault::Shed { .. }
            | Fault::Deadline
            | Fault::Malformed(_) => None,
        }
    }

    /// What a caller of the service called `name` is told: the only place where these faults meet the wire. Addresses stay inside.
    #[must_use]
    pub fn to_status(&self, name: &str) -> Status {
        let away = |message, retry_after| away(name, "SERVICE_UNAVAILABLE", message, retry_after);
        match self {
            Fault::NoEndpoint | Fault::NotSent { .. } => {
                away(format!("the {name} service cannot be reached; call again in a second"), RETRY_AFTER)
            }
            Fault::NotRunning => {
                away(format!("the {name} service is not running; call again in a second"), RETRY_AFTER)
            }
            Fault::Broken { .. } => {
                let message = format!("the {name} service broke off; the call may have taken effect");
                away(message, RETRY_AFTER)
            }
            Fault::BreakerOpen { retry_after } => {
                let after = (*retry_after).max(Duration::from_millis(1));
                away(format!("the {name} service keeps failing and is left alone; call again in {after:.1?}"), after)
            }
            Fault::Shed { .. } => {
                let message = format!("too many calls of the {name} service are waiting; call again in a second");
                self::away(name, "OVERLOADED", message, RETRY_AFTER)
            }
            Fault::Late { .. } => Status::deadline_exceeded(format!(
                "the {name} service did not answer in time; the call may have taken effect"
            )),
            Fault::Deadline => crate::deadline::exceeded(),
            Fault::Malformed(error) => Status::invalid_argument(error.to_string()),
        }
    }
}

fn away(name: &str, reason: &str, message: String, retry_after: Duration) -> Status {
    let service = HashMap::from([("service".to_owned(), name.to_owned())]);
    let mut details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, service);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// The status that an answer has in its first headers: it is the whole answer then ("Trailers-Only").
pub(crate) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get(STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}
