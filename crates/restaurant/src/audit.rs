//! What an operator's check compares with the orders: every ticket.

use crate::Error;
use proto::comanda::restaurant::v1::ticket::State;
use proto::{OrderId, TicketId};
use store::Store;

/// The tickets of all restaurants, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Every ticket, oldest first.
    pub tickets: Vec<AuditedTicket>,
    /// Orders that have more than one; none, if the promise holds.
    pub duplicates: Vec<Duplicate>,
}

/// One ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditedTicket {
    /// The order that it is for.
    pub order_id: OrderId,
    /// The ticket.
    pub ticket_id: TicketId,
    /// Whether it is to be cooked.
    pub state: State,
}

/// An order with more than one ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate {
    /// The order.
    pub order_id: OrderId,
    /// How many tickets it has.
    pub tickets: i64,
}

/// Reads every ticket of a store that [`crate::start`] has migrated; one that is opened for reading only will do.
///
/// # Errors
/// When the tickets cannot be read.
pub async fn audit(store: &Store) -> Result<Audit, Error> {
    crate::store::audit(store).await
}
