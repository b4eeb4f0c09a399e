//! Moves an order on: the one place where its state changes.

use super::{Caller, Orders};
use crate::domain::{Input, Order, Reason, Then, Transition, decide};
use crate::messages::clients::{Asker, decision};
use crate::messages::{Command, events};
use crate::{Error, store as rows};
use proto::OrderId;
use proto::time::Instant;
use store::Change;
use tracing::debug;

/// Times that somebody else may be faster, in a row. An order changes at most four times in its life.
const OVERTAKEN_MAX: usize = 5;

/// What moves an order.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) input: Input,
    /// Why, if it leads to a rejection.
    pub(crate) reasons: Vec<Reason>,
    /// What it is called in the history.
    pub(crate) cause: &'static str,
    /// The command that is answered by it.
    pub(crate) answers: Option<Command>,
    /// The client's command that asks for it, and is answered with it.
    pub(crate) asker: Option<Asker>,
    pub(crate) traceparent: Option<String>,
}

impl Orders {
    /// Applies an input, and returns the order as it is then. Repeating it changes nothing.
    pub(crate) async fn advance(&self, order_id: OrderId, push: &Push) -> Result<Order, Error> {
        if let Some(order) = self.recent.get(order_id)
            && let Ok(transition @ Transition::Move { .. }) = decide(order.state, push.input)
            && let Some(moved) = self.apply(order, transition, push).await?
        {
            return Ok(moved);
        }
        for _ in 0..OVERTAKEN_MAX {
            let order = self.get(order_id).await?;
            let transition = decide(order.state, push.input)
                .map_err(|refused| Error::Decided { order_id, state: refused.state.to_wire().as_str_name() })?;
            if let Some(moved) = self.apply(order, transition, push).await? {
                return Ok(moved);
            }
        }
        Err(Error::Overtaken(order_id))
    }

    /// Commits a transition and all that follows from it; `None` when somebody else was faster.
    async fn apply(&self, order: Order, transition: Transition, push: &Push) -> Result<Option<Order>, Error> {
        let (next, change) = self.consequences(&order, transition, push);
        if change.is_empty() {
            return Ok(Some(order));
        }
        match self.store.commit(change).await {
            Ok(_) => Ok(Some(self.announce(order, next, push.cause))),
            Err(store::Error::Conflict { .. }) => {
                self.recent.forget(order.id);
                Ok(None)
            }
            Err(source) => Err(Error::Store { doing: "change an order", source }),
        }
    }

    fn consequences(&self, order: &Order, transition: Transition, push: &Push) -> (Option<Order>, Change) {
        let mut change = Change::new();
        let (to, then) = match transition {
            Transition::Stay => {
                if let Some(command) = push.answers {
                    outbox::settle(&mut change, &command.effect_id(order.id));
                }
                if let Some(asker) = &push.asker {
                    asker.comply(&mut change, order);
                }
                return (None, change);
            }
            Transition::Move { to, then } => (to, then),
        };
        let next = order.moved(to, push.reasons.clone(), Instant::now());
        rows::update(&mut change, &next, push.cause);
        // A decided order needs no more replies, but for the one that says that its ticket is called off.
        let settled: Vec<Command> = if to.is_decided() {
            Command::ALL.into_iter().filter(|command| *command != Command::CancelTicket).collect()
        } else {
            push.answers.into_iter().collect()
        };
        for command in settled {
            outbox::settle(&mut change, &command.effect_id(order.id));
        }
        let command = match then {
            Then::Nothing => None,
            Then::CreateTicket => Some(Command::CreateTicket),
            Then::CancelTicket => Some(Command::CancelTicket),
        };
        if let Some(command) = command {
            outbox::oblige(&mut change, &command.about(&next, push.traceparent.as_deref()), &self.config.outbox);
        }
        tell_outside(&mut change, &next, push);
        (Some(next), change)
    }

    fn announce(&self, before: Order, next: Option<Order>, cause: &str) -> Order {
        let Some(next) = next else { return before };
        debug!(order.id = %next.id, state = next.state.to_wire().as_str_name(), cause, "order moved on");
        if next.state.is_decided() {
            let created = next.id.created_ms().map_or(next.updated, Instant::from_millis);
            self.metrics.decided(next.state, next.updated.since(created));
        }
        self.recent.note(&next);
        self.watches.tell(&next);
        next
    }

    /// Cancels an order for its client.
    pub(crate) async fn cancel(&self, order_id: OrderId, caller: Caller) -> Result<Order, Error> {
        let Caller { principal: _, traceparent, asker } = caller;
        let (input, cause) = (Input::Cancel, "CancelOrder");
        let push = Push { input, reasons: Vec::new(), cause, answers: None, asker, traceparent };
        self.advance(order_id, &push).await
    }
}

/// Adds to a change what is said about it outside: the event, and the answers that somebody waits for.
fn tell_outside(change: &mut Change, next: &Order, push: &Push) {
    let traceparent = push.traceparent.as_deref();
    outbox::append(change, &events::changed(next, traceparent));
    if let Some(asker) = &push.asker {
        asker.comply(change, next);
    }
    if let Some(answer) = decision(next, traceparent) {
        outbox::append(change, &answer);
    }
}
