//! What can go wrong, and how the caller is told.

use crate::domain::Reason;
use proto::{OrderId, RestaurantId, Violation, Violations, refusal};
use std::time::Duration;
use tonic::{Code, Status};

/// Why the Order Service did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not as the contract says.
    #[error("the request is not valid")]
    Invalid(Violations),
    /// There is no such order.
    #[error("there is no order {0}")]
    OrderUnknown(OrderId),
    /// No such restaurant is known here.
    #[error("there is no restaurant {restaurant_id}")]
    RestaurantUnknown {
        /// The restaurant.
        restaurant_id: RestaurantId,
        /// How long ago the replica last heard of a restaurant.
        replica_age: Duration,
    },
    /// The replica of the restaurants is still being read.
    #[error("the restaurants are not known yet")]
    ReplicaNotBuilt,
    /// The idempotency key belongs to another request.
    #[error("idempotency key was used for another request")]
    KeyReused,
    /// The order can no longer be cancelled.
    #[error("order {order_id} is {state} already")]
    Decided {
        /// The order.
        order_id: OrderId,
        /// The name of its state in the contract.
        state: &'static str,
    },
    /// Other changes of the same order were faster, again and again.
    #[error("order {0} changes too fast")]
    Overtaken(OrderId),
    /// A service has reasons against the order; only if it is asked before the answer.
    #[error("the order is not valid")]
    Refused(Vec<Reason>),
    /// A service that is asked before the answer did not say whether the order is valid.
    #[error("the {service} service did not validate the order")]
    NotValidated {
        /// Which one.
        service: &'static str,
        /// What it said instead.
        #[source]
        source: Box<Status>,
    },
    /// Too many orders are watched.
    #[error("too many orders are watched")]
    TooManyWatches,
    /// The database failed.
    #[error("failed to {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: store::Error,
    },
    /// A row cannot be read.
    #[error("order {order_id} is stored in a form that cannot be read")]
    Corrupt {
        /// The order, or what stands in its place.
        order_id: String,
    },
    /// The service could not be started.
    #[error("failed to subscribe")]
    Subscribe(#[source] messaging::Error),
}

impl Error {
    /// Makes an error of the store say what was being done.
    pub(crate) fn store(doing: &'static str) -> impl FnOnce(store::Error) -> Self {
        move |source| Error::Store { doing, source }
    }
}

impl Error {
    /// Whether somebody else was faster, so that what was read before is old.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Error::Store { source: store::Error::Conflict { .. }, .. })
    }

    /// Whether what was asked for cannot be had, now or later: an answer to whoever asked.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Error::Invalid(_)
            | Error::OrderUnknown(_)
            | Error::RestaurantUnknown { .. }
            | Error::KeyReused
            | Error::Refused(_)
            | Error::Decided { .. } => true,
            Error::ReplicaNotBuilt
            | Error::NotValidated { .. }
            | Error::Overtaken(_)
            | Error::TooManyWatches
            | Error::Store { .. }
            | Error::Corrupt { .. }
            | Error::Subscribe(_) => false,
        }
    }

    /// Whether the fault is ours, so that a person should know its causes.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Error::Store { .. } | Error::Corrupt { .. } | Error::Subscribe(_) => true,
            Error::Invalid(_)
            | Error::OrderUnknown(_)
            | Error::RestaurantUnknown { .. }
            | Error::ReplicaNotBuilt
            | Error::KeyReused
            | Error::Refused(_)
            | Error::NotValidated { .. }
            | Error::Decided { .. }
            | Error::Overtaken(_)
            | Error::TooManyWatches => false,
        }
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Error::Invalid(violations)
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Error::Invalid(violation.into())
    }
}

impl From<Error> for Status {
    /// The only place where errors of this service meet the wire. Pure: the gRPC room logs.
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(violations) => violations.into(),
            Error::OrderUnknown(order_id) => {
                let text = format!("there is no order {order_id}; use the id that CreateOrder returned");
                refusal::because(Code::NotFound, &text, "ORDER_UNKNOWN", [("order_id", order_id.to_string())])
            }
            Error::RestaurantUnknown { restaurant_id, replica_age } => {
                let text = format!(
                    "no restaurant {restaurant_id} is known here; check the id, or repeat the call if it is new"
                );
                let age = replica_age.as_millis().to_string();
                let metadata = [("restaurant_id", restaurant_id.to_string()), ("replica_age_ms", age)];
                refusal::because(Code::NotFound, &text, "RESTAURANT_UNKNOWN", metadata)
            }
            Error::KeyReused => {
                let text = "the idempotency key was used for a different request; use a new key for a new order";
                refusal::because(Code::AlreadyExists, text, "IDEMPOTENCY_KEY_REUSED", [])
            }
            Error::Decided { order_id, state } => {
                let text =
                    format!("order {order_id} is {state}; only an order that is not yet decided can be cancelled");
                refusal::precondition(
                    &text,
                    "ORDER_DECIDED",
                    &format!("orders/{order_id}"),
                    [("state", state.to_owned())],
                )
            }
            Error::Refused(reasons) => {
                let text = "the order is not valid; order something else, or as somebody else";
                let of = |reason: Reason| [reason.code().as_str_name().to_owned(), reason.field, reason.message];
                refusal::preconditions(text, "ORDER_REFUSED", reasons.into_iter().map(of))
            }
            Error::NotValidated { .. } => {
                let text = "the order cannot be validated now; repeat the call with the same key";
                refusal::retry_later(Code::Unavailable, text, "NOT_VALIDATED")
            }
            Error::ReplicaNotBuilt => {
                let text = "the restaurants are being loaded; repeat the call";
                refusal::retry_later(Code::Unavailable, text, "REPLICA_NOT_BUILT")
            }
            Error::TooManyWatches => {
                let text = "too many orders are watched now; repeat the call, or use GetOrder";
                refusal::retry_later(Code::ResourceExhausted, text, "TOO_MANY_WATCHES")
            }
            Error::Overtaken(order_id) => {
                let text = format!("order {order_id} is being changed; repeat the call");
                refusal::retry_later(Code::Aborted, &text, "OVERTAKEN")
            }
            Error::Store { .. } | Error::Subscribe(_) => {
                let text = "orders are not available now; repeat the call with the same key";
                refusal::retry_later(Code::Unavailable, text, "STORE_UNAVAILABLE")
            }
            Error::Corrupt { .. } => refusal::fault(),
        }
    }
}
