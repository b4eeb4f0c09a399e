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
mod tests {
    use super::*;
    use Input::{
        Cancel, ConsumerRefused, ConsumerValidated, DetailsRefused, DetailsValidated, Expire, TicketCancelled,
        TicketCreated, TicketRefused,
    };
    use proptest::prelude::*;

    const STATES: [State; 7] = [
        State::Pending,
        State::ConsumerValidated,
        State::OrderDetailsValidated,
        State::Validated,
        State::Approved,
        State::Rejected,
        State::Cancelled,
    ];
    const REPLIES: [Input; 7] = [
        ConsumerValidated,
        ConsumerRefused,
        DetailsValidated,
        DetailsRefused,
        TicketCreated,
        TicketRefused,
        TicketCancelled,
    ];

    /// Applies inputs from PENDING on, and says where that leads and which commands went out.
    fn live(inputs: &[Input]) -> (State, Vec<Then>) {
        let mut state = State::Pending;
        let mut commands = Vec::new();
        for input in inputs {
            if let Ok(Transition::Move { to, then }) = decide(state, *input) {
                state = to;
                commands.extend((then != Then::Nothing).then_some(then));
            }
        }
        (state, commands)
    }

    #[track_caller]
    fn check(inputs: &[Input], end: State, commands: &[Then]) {
        assert_eq!(live(inputs), (end, commands.to_vec()));
    }

    #[test]
    fn both_validations_in_either_order_lead_to_a_ticket() {
        check(&[ConsumerValidated, DetailsValidated], State::Validated, &[Then::CreateTicket]);
        check(&[DetailsValidated, ConsumerValidated], State::Validated, &[Then::CreateTicket]);
    }

    #[test]
    fn one_validation_is_not_enough() {
        check(&[ConsumerValidated], State::ConsumerValidated, &[]);
        check(&[DetailsValidated], State::OrderDetailsValidated, &[]);
    }

    #[test]
    fn a_ticket_approves() {
        check(&[ConsumerValidated, DetailsValidated, TicketCreated], State::Approved, &[Then::CreateTicket]);
    }

    #[test]
    fn either_service_rejects_whatever_the_other_says() {
        check(&[ConsumerRefused], State::Rejected, &[]);
        check(&[DetailsValidated, ConsumerRefused], State::Rejected, &[]);
        check(&[DetailsRefused, ConsumerValidated], State::Rejected, &[]);
        check(&[ConsumerValidated, DetailsRefused], State::Rejected, &[]);
    }

    #[test]
    fn a_refused_ticket_rejects() {
        check(&[ConsumerValidated, DetailsValidated, TicketRefused], State::Rejected, &[Then::CreateTicket]);
    }

    #[test]
    fn a_repeated_reply_changes_nothing() {
        check(&[ConsumerValidated, ConsumerValidated], State::ConsumerValidated, &[]);
        check(&[ConsumerValidated, DetailsValidated, DetailsValidated], State::Validated, &[Then::CreateTicket]);
    }

    #[test]
    fn leaving_validated_calls_the_ticket_off() {
        check(
            &[ConsumerValidated, DetailsValidated, Cancel],
            State::Cancelled,
            &[Then::CreateTicket, Then::CancelTicket],
        );
        check(
            &[ConsumerValidated, DetailsValidated, Expire],
            State::Rejected,
            &[Then::CreateTicket, Then::CancelTicket],
        );
    }

    #[test]
    fn an_order_that_never_was_validated_is_cancelled_without_a_word_to_the_kitchen() {
        check(&[Cancel], State::Cancelled, &[]);
        check(&[ConsumerValidated, Expire], State::Rejected, &[]);
    }

    #[test]
    fn a_ticket_that_comes_after_the_cancellation_is_late() {
        check(
            &[ConsumerValidated, DetailsValidated, Cancel, TicketCreated, TicketCancelled],
            State::Cancelled,
            &[Then::CreateTicket, Then::CancelTicket],
        );
    }

    #[test]
    fn only_a_client_is_refused_and_only_after_the_decision() {
        for state in STATES {
            for input in REPLIES.into_iter().chain([Expire]) {
                assert!(decide(state, input).is_ok(), "{state:?} {input:?}");
            }
            let is_refused = matches!(state, State::Approved | State::Rejected);
            assert_eq!(decide(state, Cancel), if is_refused { Err(Refused { state }) } else { decide(state, Cancel) });
        }
    }

    #[test]
    fn what_is_decided_stays_decided() {
        for state in STATES.into_iter().filter(|state| state.is_decided()) {
            for input in REPLIES.into_iter().chain([Expire]) {
                assert_eq!(decide(state, input), Ok(Transition::Stay), "{state:?} {input:?}");
            }
        }
    }

    #[test]
    fn every_state_has_a_number_of_its_own() {
        for state in STATES {
            assert_eq!(State::from_wire(state.to_wire()), Some(state));
        }
    }

    /// How far a state is from PENDING; no input leads back.
    fn rank(state: State) -> u8 {
        match state {
            State::Pending => 0,
            State::ConsumerValidated | State::OrderDetailsValidated => 1,
            State::Validated => 2,
            State::Approved | State::Rejected | State::Cancelled => 3,
        }
    }

    fn any_input() -> impl Strategy<Value = Input> {
        prop::sample::select(Input::ALL.to_vec())
    }

    /// The replies of one run of the services, with the ticket's reply possible only after CreateTicket went out: shuffled, repeated, late.
    fn replies(consumer: Input, details: Input) -> impl Strategy<Value = Vec<Input>> {
        let all = vec![consumer, details, consumer, details, TicketCancelled];
        Just(all).prop_shuffle()
    }

    proptest! {
        #[test]
        fn no_input_leads_back(inputs in prop::collection::vec(any_input(), 0..40)) {
            let mut state = State::Pending;
            for input in inputs {
                if let Ok(Transition::Move { to, .. }) = decide(state, input) {
                    prop_assert!(rank(to) > rank(state), "{:?} {:?} {:?}", state, input, to);
                    state = to;
                }
            }
        }

        #[test]
        fn at_most_one_ticket_is_asked_for_and_at_most_one_called_off(inputs in prop::collection::vec(any_input(), 0..40)) {
            let (_, commands) = live(&inputs);
            prop_assert!(commands.iter().filter(|command| **command == Then::CreateTicket).count() <= 1);
            prop_assert!(commands.iter().filter(|command| **command == Then::CancelTicket).count() <= 1);
        }

        #[test]
        fn shuffled_repeated_and_late_replies_always_end_the_same_way(
            replies in (prop::bool::ANY, prop::bool::ANY).prop_flat_map(|(consumer, details)| {
                let consumer = if consumer { ConsumerValidated } else { ConsumerRefused };
                let details = if details { DetailsValidated } else { DetailsRefused };
                (replies(consumer, details), Just((consumer, details)))
            }),
        ) {
            let (inputs, (consumer, details)) = replies;
            let mut all = inputs;
            all.push(TicketCreated);
            let expected = if consumer == ConsumerValidated && details == DetailsValidated { State::Approved } else { State::Rejected };
            prop_assert_eq!(live(&all).0, expected);
        }
    }
}
