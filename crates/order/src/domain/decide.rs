//! The whole life of an order, in one function.

use proto::comanda::order::v1::order::State as WireState;

/// How far an order has come. The numbers are those of the contract, and of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Pending,
    ConsumerValidated,
    OrderDetailsValidated,
    Validated,
    Approved,
    Rejected,
    Cancelled,
}

impl State {
    /// Whether nothing will change any more.
    pub(crate) fn is_decided(self) -> bool {
        match self {
            State::Approved | State::Rejected | State::Cancelled => true,
            State::Pending | State::ConsumerValidated | State::OrderDetailsValidated | State::Validated => false,
        }
    }

    pub(crate) fn to_wire(self) -> WireState {
        match self {
            State::Pending => WireState::Pending,
            State::ConsumerValidated => WireState::ConsumerValidated,
            State::OrderDetailsValidated => WireState::OrderDetailsValidated,
            State::Validated => WireState::Validated,
            State::Approved => WireState::Approved,
            State::Rejected => WireState::Rejected,
            State::Cancelled => WireState::Cancelled,
        }
    }

    /// `None` for UNSPECIFIED.
    pub(crate) fn from_wire(state: WireState) -> Option<Self> {
        match state {
            WireState::Unspecified => None,
            WireState::Pending => Some(State::Pending),
            WireState::ConsumerValidated => Some(State::ConsumerValidated),
            WireState::OrderDetailsValidated => Some(State::OrderDetailsValidated),
            WireState::Validated => Some(State::Validated),
            WireState::Approved => Some(State::Approved),
            WireState::Rejected => Some(State::Rejected),
            WireState::Cancelled => Some(State::Cancelled),
        }
    }
}

/// What can happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// The Consumer Service validated it.
    ConsumerValidated,
    /// The Consumer Service refused it.
    ConsumerRefused,
    /// The Restaurant Service validated it.
    DetailsValidated,
    /// The Restaurant Service refused it.
    DetailsRefused,
    /// The kitchen has a ticket.
    TicketCreated,
    /// There will be no ticket.
    TicketRefused,
    /// The kitchen will not cook it.
    TicketCancelled,
    /// The client cancels it.
    Cancel,
    /// Its `validate_by` has passed.
    Expire,
}

impl Input {
    pub(crate) const ALL: [Input; 9] = [
        Input::ConsumerValidated,
        Input::ConsumerRefused,
        Input::DetailsValidated,
        Input::DetailsRefused,
        Input::TicketCreated,
        Input::TicketRefused,
        Input::TicketCancelled,
        Input::Cancel,
        Input::Expire,
    ];
}

/// What comes of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    /// Nothing: the input is late, repeated, or was expected.
    Stay,
    /// The order changes.
    Move {
        /// Its next state.
        to: State,
        /// What to tell others.
        then: Then,
    },
}

/// A command that goes out with a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    CreateTicket,
    CancelTicket,
}

/// The client asked for what can no longer be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The state that forbids it.
    pub(crate) state: State,
}

/// Decides. Total: replies may come in any order, twice, and late; only a client can be refused.
pub(crate) fn decide(state: State, input: Input) -> Result<Transition, Refused> {
    use Input::{
        Cancel, ConsumerRefused, ConsumerValidated, DetailsRefused, DetailsValidated, Expire, TicketCancelled,
        TicketCreated, TicketRefused,
    };
    let to = |to| Ok(Transition::Move { to, then: Then::Nothing });
    let to_and = |to, then| Ok(Transition::Move { to, then });
    match (state, input) {
        (State::Pending, ConsumerValidated) => to(State::ConsumerValidated),
        (State::Pending, DetailsValidated) => to(State::OrderDetailsValidated),
        (State::ConsumerValidated, DetailsValidated) | (State::OrderDetailsValidated, ConsumerValidated) => {
            to_and(State::Validated, Then::CreateTicket)
        }
        (State::Validated, TicketCreated) => to(State::Approved),

        (State::Pending | State::OrderDetailsValidated, ConsumerRefused)
        | (State::Pending | State::ConsumerValidated, DetailsRefused)
        | (State::Validated, TicketRefused)
        | (State::Pending | State::ConsumerValidated | State::OrderDetailsValidated, Expire) => to(State::Rejected),
        (State::Validated, Expire) => to_and(State::Rejected, Then::CancelTicket),

        (State::Pending | State::ConsumerValidated | State::OrderDetailsValidated, Cancel) => to(State::Cancelled),
        (State::Validated, Cancel) => to_and(State::Cancelled, Then::CancelTicket),
        (State::Approved | State::Rejected, Cancel) => Err(Refused { state }),
        (State::Cancelled, Cancel) => Ok(Transition::Stay),

        (State::ConsumerValidated | State::Validated, ConsumerValidated | ConsumerRefused)
        | (State::OrderDetailsValidated | State::Validated, DetailsValidated | DetailsRefused)
        | (
            State::Pending | State::ConsumerValidated | State::OrderDetailsValidated,
            TicketCreated | TicketRefused | TicketCancelled,
        )
        | (State::Validated, TicketCancelled)
        | (
            State::Approved | State::Rejected | State::Cancelled,
            ConsumerValidated | ConsumerRefused | DetailsValidated | DetailsRefused | TicketCreated | TicketRefused
            | TicketCancelled | Expire,
        ) => Ok(Transition::Stay),
    }
}

#[cfg(test)]
mod tests;
