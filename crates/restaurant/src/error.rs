//! What can go wrong in the Restaurant Service, and what a caller is told of it.

use proto::comanda::order::v1::rejection::reason::Code as Reason;
use proto::{OrderId, RestaurantId, TicketId, Violation, Violations, refusal};
use tonic::{Code, Status};

/// `ErrorInfo.reason` of a ticket that is not there; orders know no such reason.
const TICKET_UNKNOWN: &str = "TICKET_UNKNOWN";

/// Why the service did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be brought up to date.
    #[error("failed to migrate the database of restaurants")]
    Migrate(#[source] store::Error),
    /// The commands cannot be received.
    #[error("failed to subscribe to the commands")]
    Subscribe(#[source] messaging::Error),
    /// The request is not as the contract wants it.
    #[error("request is not valid")]
    Invalid(Violations),
    /// There is no such restaurant.
    #[error("no restaurant {0}")]
    Unknown(RestaurantId),
    /// The restaurant has no such ticket.
    #[error("no ticket {0}")]
    TicketUnknown(TicketId),
    /// Others changed the restaurant each time that this change was tried.
    #[error("restaurant {0} was changed by others again and again")]
    Overtaken(RestaurantId),
    /// A restaurant cannot be read.
    #[error("failed to load restaurant {restaurant_id}")]
    Load {
        /// Which one.
        restaurant_id: RestaurantId,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// A page of restaurants cannot be read.
    #[error("failed to list restaurants")]
    List(#[source] store::Error),
    /// A restaurant cannot be written.
    #[error("failed to save restaurant {restaurant_id}")]
    Save {
        /// Which one.
        restaurant_id: RestaurantId,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// A ticket cannot be read.
    #[error("failed to load ticket {ticket_id}")]
    LoadTicket {
        /// Which one.
        ticket_id: TicketId,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// The ticket of an order cannot be read.
    #[error("failed to load the ticket of order {order_id}")]
    LoadTicketOfOrder {
        /// Which order.
        order_id: OrderId,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// A page of tickets cannot be read.
    #[error("failed to list the tickets of restaurant {restaurant_id}")]
    ListTickets {
        /// Whose.
        restaurant_id: RestaurantId,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// Whether a restaurant was written is not known.
    #[error("restaurant {restaurant_id} may have been saved, or not")]
    SaveUnknown {
        /// Which one.
        restaurant_id: RestaurantId,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// The service was to drain before all restaurants were published again.
    #[error("stopped before all restaurants were published again")]
    Stopped,
    /// The tickets cannot be audited.
    #[error("failed to audit the tickets")]
    Audit(#[source] store::Error),
}

impl Error {
    /// Whether the same request may succeed later, unchanged.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Migrate(source)
            | Error::List(source)
            | Error::Load { source, .. }
            | Error::Save { source, .. }
            | Error::LoadTicket { source, .. }
            | Error::LoadTicketOfOrder { source, .. }
            | Error::ListTickets { source, .. }
            | Error::Audit(source) => source.is_transient(),
            Error::Overtaken(_) | Error::SaveUnknown { .. } | Error::Stopped => true,
            Error::Subscribe(_) | Error::Invalid(_) | Error::Unknown(_) | Error::TicketUnknown(_) => false,
        }
    }

    /// Whether somebody who runs the service should know: it is neither the caller's mistake nor a race that he lost.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Error::Invalid(_) | Error::Unknown(_) | Error::TicketUnknown(_) | Error::Overtaken(_) | Error::Stopped => {
                false
            }
            Error::Migrate(_)
            | Error::Subscribe(_)
            | Error::Load { .. }
            | Error::List(_)
            | Error::Save { .. }
            | Error::SaveUnknown { .. }
            | Error::LoadTicket { .. }
            | Error::LoadTicketOfOrder { .. }
            | Error::ListTickets { .. }
            | Error::Audit(_) => true,
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
            Error::Unknown(restaurant_id) => unknown(restaurant_id),
            Error::TicketUnknown(ticket_id) => ticket_unknown(ticket_id),
            Error::Overtaken(_) => {
                let text = "the restaurant is being changed by others at the same time; repeat the call";
                refusal::retry_later(Code::Aborted, text, "OVERTAKEN")
            }
            Error::SaveUnknown { .. } => {
                let text = "the restaurant may have been saved or not; look whether it was before you repeat the call";
                refusal::retry_later(Code::Unavailable, text, "OUTCOME_UNKNOWN")
            }
            Error::Migrate(_)
            | Error::Subscribe(_)
            | Error::Load { .. }
            | Error::List(_)
            | Error::Save { .. }
            | Error::LoadTicket { .. }
            | Error::LoadTicketOfOrder { .. }
            | Error::ListTickets { .. }
            | Error::Stopped
            | Error::Audit(_) => match is_transient {
                true => refusal::retry_later(
                    Code::Unavailable,
                    "restaurants are not available now; repeat the call",
                    "STORE_UNAVAILABLE",
                ),
                false => refusal::fault(),
            },
        }
    }
}

fn unknown(restaurant_id: RestaurantId) -> Status {
    let text = format!("there is no restaurant {restaurant_id}; check restaurant_id, or create it first");
    let metadata = [("restaurant_id", restaurant_id.to_string())];
    refusal::because(Code::NotFound, &text, Reason::RestaurantUnknown.as_str_name(), metadata)
}

fn ticket_unknown(ticket_id: TicketId) -> Status {
    let text = format!("the restaurant has no ticket {ticket_id}; check ticket_id and restaurant_id");
    refusal::because(Code::NotFound, &text, TICKET_UNKNOWN, [("ticket_id", ticket_id.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::refusal::RETRY_AFTER;
    use tonic_types::StatusExt;

    fn load(source: store::Error) -> Error {
        Error::Load { restaurant_id: RestaurantId::generate(), source }
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
        assert_eq!(status.message(), "restaurants are not available now; repeat the call");
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(RETRY_AFTER));
    }

    #[test]
    fn a_fault_that_stays_is_internal_and_tells_no_sql() {
        let broken = store::Error::Statement { sql: "SELECT 1", is_transient: false, source: "no table".into() };

        check(load(broken), Code::Internal, "it has been logged");
        check(load(store::Error::Column { column: 1, expected: "text" }), Code::Internal, "it has been logged");
    }

    #[test]
    fn a_lost_race_is_aborted() {
        check(Error::Overtaken(RestaurantId::generate()), Code::Aborted, "repeat the call");
    }

    #[test]
    fn what_is_unknown_has_a_reason_for_programs() {
        for (error, reason) in [
            (Error::Unknown(RestaurantId::generate()), "RESTAURANT_UNKNOWN"),
            (Error::TicketUnknown(TicketId::generate()), "TICKET_UNKNOWN"),
        ] {
            let status = Status::from(error);

            assert_eq!(status.code(), Code::NotFound);
            assert_eq!(status.get_details_error_info().unwrap().reason, reason);
        }
    }
}
