//! Does what clients outside ask for over a channel, by the rules of every other call, and answers each command once in effect.

use super::Orders;
use super::create::{Caller, Taken, Wish};
use super::replies::outcome_of;
use crate::Error;
use crate::domain::Order;
use crate::messages::clients::{Asked, Asker, Request, decision};
use messaging::Message;
use outbox::{Handle, Outcome};
use proto::OrderId;
use proto::channel;
use proto::comanda::messages::v1::OrderAccepted;
use proto::comanda::order::v1::{CancelOrderRequest, CreateOrderRequest};
use proto::time::Instant;
use store::Change;
use tonic::Status;

/// Handles the channel of clients' commands.
#[derive(Debug, Clone)]
pub(crate) struct Clients(pub(crate) Orders);

impl Handle for Clients {
    async fn handle(&self, message: &Message) -> Outcome {
        let asked = match Asked::read(message) {
            Ok(asked) => asked,
            Err(error) => return Outcome::Poison { why: error.to_string() },
        };
        match self.deal_with(asked).await {
            Ok(()) => Outcome::Done,
            Err(error) => outcome_of(&error),
        }
    }
}

impl Clients {
    /// A command is new nearly always, so whether it came before is looked up only when it cannot be done: its row in the inbox decides.
    async fn deal_with(&self, Asked { asker, request }: Asked) -> Result<(), Error> {
        let done = match request {
            Ok(Request::Create(request)) => self.create(request, &asker).await,
            Ok(Request::Cancel(request)) => self.cancel(&request, &asker).await,
            Err(wrong) => Err(wrong.into()),
        };
        let Err(error) = done else { return Ok(()) };
        if !error.is_refusal() && !error.is_conflict() {
            return Err(error);
        }
        if self.repeat(&asker).await? {
            return Ok(());
        }
        if !error.is_refusal() {
            return Err(error);
        }
        let mut change = Change::new();
        asker.refuse(&mut change, &Status::from(error));
        self.commit(change).await
    }

    async fn create(&self, request: CreateOrderRequest, asker: &Asker) -> Result<(), Error> {
        match self.0.create(Wish::read(request, Instant::now()), &caller(asker)).await? {
            Taken::Now(_) => Ok(()),
            Taken::Before(order) => {
                let mut change = Change::new();
                asker.accept(&mut change, &order);
                tell_decision(&mut change, &order, asker);
                self.commit(change).await
            }
        }
    }

    async fn cancel(&self, request: &CancelOrderRequest, asker: &Asker) -> Result<(), Error> {
        // Looked up first: that it was handled before would be taken for an order that changes too fast.
        if self.repeat(asker).await? {
            return Ok(());
        }
        let order_id = OrderId::parse("order_id", &request.order_id)?;
        self.0.cancel(order_id, caller(asker)).await.map(|_| ())
    }

    /// Gives a command that was handled before its answers again; false when it was not.
    async fn repeat(&self, asker: &Asker) -> Result<bool, Error> {
        let answered = outbox::answered(&self.0.store, &asker.command).await;
        let Some(answer) = answered.map_err(Error::store("load an answer"))? else { return Ok(false) };
        let mut change = Change::new();
        outbox::append(&mut change, &answer);
        if let Some(order_id) = accepted(&answer)? {
            tell_decision(&mut change, &self.0.get(order_id).await?, asker);
        }
        self.commit(change).await.map(|()| true)
    }

    async fn commit(&self, change: Change) -> Result<(), Error> {
        self.0.store.commit(change).await.map(|_| ()).map_err(Error::store("answer a client"))
    }
}

/// The scope of a client's idempotency keys is its reply address; the colon keeps it apart from all who call by themselves.
fn caller(asker: &Asker) -> Caller {
    Caller {
        principal: format!("reply-address:{}", asker.client.reply_address),
        traceparent: asker.command.traceparent.clone(),
        asker: Some(asker.clone()),
    }
}

/// Adds what the client of an order that is decided already was told then. One that is not decided yet will be told by its decision.
fn tell_decision(change: &mut Change, order: &Order, asker: &Asker) {
    if let Some(answer) = decision(order, asker.command.traceparent.as_deref()) {
        outbox::append(change, &answer);
    }
}

/// The order that an answer accepts.
fn accepted(answer: &Message) -> Result<Option<OrderId>, Error> {
    if answer.kind != channel::kind::<OrderAccepted>() {
        return Ok(None);
    }
    let corrupt = || Error::Corrupt { order_id: format!("answer {}", answer.effect_id) };
    let accepted: OrderAccepted = channel::decode(&answer.payload).map_err(|_malformed| corrupt())?;
    let order_id = accepted.order.unwrap_or_default().order_id;
    OrderId::parse("order_id", &order_id).map(Some).map_err(|_malformed| corrupt())
}
