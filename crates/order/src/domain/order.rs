//! An order: what was placed, which never changes, and how far it has come.

use super::{Client, Reason, State};
use prost_types::Timestamp;
use proto::OrderId;
use proto::comanda::order::v1 as wire;
use proto::time::Instant;
use std::sync::Arc;

/// One order as it is now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) state: State,
    /// Rises by one with each change, from 1.
    pub(crate) version: i64,
    pub(crate) updated: Instant,
    /// Why it was rejected; empty unless it was.
    pub(crate) reasons: Vec<Reason>,
    pub(crate) placed: Placed,
    /// Who is told of its end over a channel, if it was created over one. Lists leave it out: nobody decides by them.
    pub(crate) client: Option<Arc<Client>>,
}

/// What the client asked for, priced, in the contract's form; its fields that change are left empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Placed(pub(crate) Arc<wire::Order>);

impl Order {
    /// A new order.
    pub(crate) fn place(id: OrderId, created: Instant, placed: Placed) -> Self {
        Order { id, state: State::Pending, version: 1, updated: created, reasons: Vec::new(), placed, client: None }
    }

    /// The order after a change.
    pub(crate) fn moved(&self, state: State, reasons: Vec<Reason>, at: Instant) -> Self {
        // The clock may have been set back; an order's history must not run backwards with it.
        let updated = at.max(self.updated);
        Order { state, version: self.version + 1, updated, reasons, ..self.clone() }
    }

    /// The order in the contract's form.
    pub(crate) fn to_wire(&self) -> wire::Order {
        wire::Order {
            state: self.state.to_wire().into(),
            version: self.version,
            rejection: (self.state == State::Rejected).then(|| wire::Rejection { reasons: self.reasons.clone() }),
            update_time: Some(Timestamp::from(self.updated)),
            ..wire::Order::clone(&self.placed.0)
        }
    }
}

impl Placed {
    pub(crate) fn validate_by(&self) -> Option<Instant> {
        Instant::parse("validate_by", self.0.validate_by.as_ref()).ok().flatten()
    }
}
