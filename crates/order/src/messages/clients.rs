//! Commands of clients outside, and what they are answered.

use crate::domain::{Client, Order, ReplyAddress, check_printable};
use messaging::Message;
use prost::Name;
use proto::channel::{self, Malformed};
use proto::comanda::messages::v1 as wire;
use proto::comanda::order::v1::{CancelOrderRequest, CreateOrderRequest};
use proto::google::rpc;
use proto::{Violation, Violations};
use std::ops::RangeInclusive;
use std::sync::Arc;
use store::Change;
use tonic::Status;

const CORRELATION_ID_CHARS: RangeInclusive<usize> = 0..=255;
/// With the reply address before it, it stays far below what an index of PostgreSQL takes (2,704 bytes).
const EFFECT_ID_CHARS: RangeInclusive<usize> = 1..=200;

/// A command that can be answered.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) asker: Asker,
    /// What it asks for, or why that cannot be considered.
    pub(crate) request: Result<Request, Violations>,
}

/// What a client outside asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Create(CreateOrderRequest),
    Cancel(CancelOrderRequest),
}

/// Who asks, and by which command: all that answering needs.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) client: Arc<Client>,
    /// The command without its payload. Its effect id is the client's own, below the reply address, so that no client can name what
    /// another one did.
    pub(crate) command: Message,
}

/// Why a message cannot be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswerable {
    #[error("{0} is no command to the Order Service")]
    Kind(String),
    #[error(transparent)]
    Payload(#[from] Malformed),
    #[error("{} {}", .0.field, .0.description)]
    ReplyAddress(Violation),
}

impl Asked {
    pub(crate) fn read(message: &Message) -> Result<Self, Unanswerable> {
        let (reply_address, correlation_id, request) = if message.kind == channel::kind::<wire::CreateOrder>() {
            let command: wire::CreateOrder = channel::decode(&message.payload)?;
            let request = Request::Create(command.request.unwrap_or_default());
            (command.reply_address, command.correlation_id, request)
        } else if message.kind == channel::kind::<wire::CancelOrder>() {
            let command: wire::CancelOrder = channel::decode(&message.payload)?;
            let request = Request::Cancel(command.request.unwrap_or_default());
            (command.reply_address, command.correlation_id, request)
        } else {
            return Err(Unanswerable::Kind(message.kind.clone()));
        };
        let reply_address = ReplyAddress::parse(&reply_address).map_err(Unanswerable::ReplyAddress)?;
        let mut wrong = Violations::new();
        let effect_id = wrong.take(check_printable("ce-effectid", &message.effect_id, EFFECT_ID_CHARS));
        let correlation_id = wrong.take(check_printable("correlation_id", &correlation_id, CORRELATION_ID_CHARS));
        // What cannot be named by its effect is remembered by its id.
        let effect_id = effect_id.map_or_else(|| message.id.to_string(), str::to_owned);
        let command =
            Message { effect_id: format!("{reply_address}:{effect_id}"), payload: Vec::new(), ..message.clone() };
        let correlation_id = correlation_id.unwrap_or_default().to_owned();
        let client = Arc::new(Client { reply_address, correlation_id, command_id: message.id });
        let request = if wrong.is_empty() { Ok(request) } else { Err(wrong) };
        Ok(Asked { asker: Asker { client, command }, request })
    }
}

impl Asker {
    /// Adds to a change that the command took an order.
    pub(crate) fn accept(&self, change: &mut Change, order: &Order) {
        let correlation_id = self.client.correlation_id.clone();
        self.answer(change, &wire::OrderAccepted { correlation_id, order: Some(order.to_wire()) });
    }

    /// Adds to a change that the command is refused.
    pub(crate) fn refuse(&self, change: &mut Change, status: &Status) {
        let correlation_id = self.client.correlation_id.clone();
        self.answer(change, &wire::OrderRefused { correlation_id, status: Some(with_details(status)) });
    }

    /// Adds to a change that an order is decided as the command asked.
    pub(crate) fn comply(&self, change: &mut Change, order: &Order) {
        let correlation_id = self.client.correlation_id.clone();
        self.answer(change, &wire::OrderDecided { correlation_id, order: Some(order.to_wire()) });
    }

    fn answer<M: Name>(&self, change: &mut Change, answer: &M) {
        // The effect is filled in with that of the command.
        outbox::answer(change, &self.command, to(&self.client, String::new(), answer));
    }
}

/// What the client that created an order over a channel is told of its end; `None` when there is no such client, or no end yet.
pub(crate) fn decision(order: &Order, traceparent: Option<&str>) -> Option<Message> {
    let client = order.client.as_deref().filter(|_| order.state.is_decided())?;
    let decided = wire::OrderDecided { correlation_id: client.correlation_id.clone(), order: Some(order.to_wire()) };
    let mut answer = to(client, format!("{}:{}:1", order.id, wire::OrderDecided::NAME), &decided);
    answer.causation_id = Some(client.command_id);
    answer.traceparent = traceparent.map(str::to_owned);
    Some(answer)
}

fn to<M: Name>(client: &Client, effect_id: String, answer: &M) -> Message {
    let key = client.reply_address.to_string();
    Message::new(channel::ORDER_ANSWERS, &channel::kind::<M>(), key, effect_id, answer.encode_to_vec())
}

/// The status with its details, which tonic keeps in this very form for the trailer `grpc-status-details-bin`.
fn with_details(status: &Status) -> rpc::Status {
    let without =
        || rpc::Status { code: status.code().into(), message: status.message().to_owned(), details: Vec::new() };
    if status.details().is_empty() {
        return without();
    }
    prost::Message::decode(status.details()).unwrap_or_else(|_malformed| without())
}

#[cfg(test)]
mod tests;
