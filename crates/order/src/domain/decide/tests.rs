//! The table of an order's life, and what holds for every run of it.

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
    check(&[ConsumerValidated, DetailsValidated, Cancel], State::Cancelled, &[Then::CreateTicket, Then::CancelTicket]);
    check(&[ConsumerValidated, DetailsValidated, Expire], State::Rejected, &[Then::CreateTicket, Then::CancelTicket]);
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
