//! Compares what the Order Service has written down in several places.

use crate::Error;
use crate::domain::{Input, Order, State, Transition, decide};
use crate::messages::Command;
use crate::store::{self as rows, Step};
use proto::OrderId;
use std::collections::HashSet;
use store::Store;

/// Orders that are compared at once: 500 x ~2 KiB = 1 MiB.
const COMPARED_AT_ONCE: u32 = 500;

/// What an order is, for those who compare it with other services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedOrder {
    /// Its id.
    pub order_id: OrderId,
    /// The name of its state in the contract.
    pub state: &'static str,
    /// What its history says brought it here, in order.
    pub causes: Vec<String>,
    /// The commands whose replies it still waits for.
    pub awaited: Vec<&'static str>,
    /// Where its state, history and obligations disagree, in sentences.
    pub disagreements: Vec<String>,
}

/// Reads and compares all orders. They may change meanwhile: each is read as of one moment.
///
/// # Errors
/// When the database cannot be read.
pub async fn audit(store: &Store) -> Result<Vec<AuditedOrder>, Error> {
    let mut audited = Vec::new();
    let mut after = None;
    loop {
        let (orders, mut histories, mut obligations) = rows::read_all(store, after, COMPARED_AT_ONCE).await?;
        let Some(last) = orders.last() else { return Ok(audited) };
        after = Some(last.id);
        for order in orders {
            let steps = histories.remove(&order.id).unwrap_or_default();
            let awaited = obligations.remove(&order.id).unwrap_or_default();
            audited.push(compare(&order, &steps, &awaited));
        }
    }
}

fn compare(order: &Order, steps: &[Step], obligations: &[String]) -> AuditedOrder {
    let commands = Command::ALL.into_iter();
    let awaited: Vec<Command> = commands.filter(|it| obligations.contains(&it.effect_id(order.id))).collect();
    let mut disagreements = history_disagreements(order, steps);
    disagreements.extend(obligation_disagreements(order, &awaited, steps));
    AuditedOrder {
        order_id: order.id,
        state: order.state.to_wire().as_str_name(),
        causes: steps.iter().map(|step| step.cause.clone()).collect(),
        awaited: awaited.into_iter().map(Command::name).collect(),
        disagreements,
    }
}

fn history_disagreements(order: &Order, steps: &[Step]) -> Vec<String> {
    let mut found = Vec::new();
    let versions: Vec<i64> = steps.iter().map(|step| step.version).collect();
    if !versions.iter().copied().eq(1..=order.version) {
        found.push(format!("the order has version {} but its history has versions {versions:?}", order.version));
    }
    if steps.first().is_none_or(|step| step.state != State::Pending) {
        found.push("the history does not begin with PENDING".to_owned());
    }
    if steps.last().is_none_or(|step| step.state != order.state) {
        found.push("the history does not end with the state of the order".to_owned());
    }
    if steps.iter().filter(|step| step.state.is_decided()).count() > 1 {
        found.push("the order was decided more than once".to_owned());
    }
    for pair in steps.windows(2) {
        if let [before, after] = pair
            && !is_possible(before.state, after.state)
        {
            let (before, after) = (before.state.to_wire().as_str_name(), after.state.to_wire().as_str_name());
            found.push(format!("the history goes from {before} to {after}, which no input does"));
        }
    }
    found
}

fn is_possible(before: State, after: State) -> bool {
    Input::ALL.into_iter().any(|input| matches!(decide(before, input), Ok(Transition::Move { to, .. }) if to == after))
}

/// A state and the replies that it waits for belong together; only a ticket may still have to be called off after the decision.
fn obligation_disagreements(order: &Order, awaited: &[Command], steps: &[Step]) -> Vec<String> {
    let awaited: HashSet<Command> = awaited.iter().copied().collect();
    let expected: HashSet<Command> = match order.state {
        State::Pending => [Command::ValidateConsumerInfo, Command::ValidateOrderDetails].into(),
        State::ConsumerValidated => [Command::ValidateOrderDetails].into(),
        State::OrderDetailsValidated => [Command::ValidateConsumerInfo].into(),
        State::Validated => [Command::CreateTicket].into(),
        State::Approved | State::Rejected | State::Cancelled => HashSet::new(),
    };
    let was_validated = steps.iter().any(|step| step.state == State::Validated);
    let may_cancel_ticket = order.state.is_decided() && order.state != State::Approved && was_validated;
    let mut found = Vec::new();
    for missing in expected.difference(&awaited) {
        found.push(format!("the order waits for a reply to {} that nobody was asked for", missing.name()));
    }
    for surplus in awaited.difference(&expected) {
        if !(may_cancel_ticket && *surplus == Command::CancelTicket) {
            found.push(format!("a reply to {} is awaited that the order has no use for", surplus.name()));
        }
    }
    found
}
