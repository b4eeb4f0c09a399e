//! Commands that go out, and replies that come in; below it, what clients outside send and get.

pub(crate) mod clients;
pub(crate) mod events;

use crate::domain::{Input, Order, Reason};
use messaging::Message;
use prost::Name;
use proto::channel::{self, Malformed};
use proto::comanda::messages::v1 as wire;
use proto::comanda::restaurant::v1::TicketLine;
use proto::{OrderId, Violation};

/// A command that the Order Service sends, at most once in effect for each order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    ValidateConsumerInfo,
    ValidateOrderDetails,
    CreateTicket,
    CancelTicket,
}

impl Command {
    pub(crate) const ALL: [Command; 4] =
        [Command::ValidateConsumerInfo, Command::ValidateOrderDetails, Command::CreateTicket, Command::CancelTicket];

    /// What the command brings about; the same however often it is sent.
    pub(crate) fn effect_id(self, order_id: OrderId) -> String {
        format!("{order_id}:{}:1", self.name())
    }

    /// Its name in the contract, without the package.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Command::ValidateConsumerInfo => wire::ValidateConsumerInfo::NAME,
            Command::ValidateOrderDetails => wire::ValidateOrderDetails::NAME,
            Command::CreateTicket => wire::CreateTicket::NAME,
            Command::CancelTicket => wire::CancelTicket::NAME,
        }
    }

    /// Who is to reply.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Command::ValidateConsumerInfo => "consumer",
            Command::ValidateOrderDetails | Command::CreateTicket | Command::CancelTicket => "restaurant",
        }
    }

    /// The replies that end the wait.
    pub(crate) fn replies(self) -> &'static [&'static str] {
        match self {
            Command::ValidateConsumerInfo => &[wire::ConsumerValidated::NAME, wire::ConsumerValidationFailed::NAME],
            Command::ValidateOrderDetails => &[wire::OrderDetailsValidated::NAME, wire::OrderDetailsRejected::NAME],
            Command::CreateTicket => &[wire::TicketCreated::NAME, wire::TicketRejected::NAME],
            Command::CancelTicket => &[wire::TicketCancelled::NAME],
        }
    }

    /// The command about one order.
    pub(crate) fn about(self, order: &Order, traceparent: Option<&str>) -> Message {
        let mut message = match self {
            Command::ValidateConsumerInfo => {
                self.message(order.id, channel::CONSUMER_COMMANDS, &validate_consumer_info(order))
            }
            Command::ValidateOrderDetails => {
                self.message(order.id, channel::RESTAURANT_COMMANDS, &validate_order_details(order))
            }
            Command::CreateTicket => self.message(order.id, channel::RESTAURANT_COMMANDS, &create_ticket(order)),
            Command::CancelTicket => self.message(order.id, channel::RESTAURANT_COMMANDS, &cancel_ticket(order)),
        };
        message.traceparent = traceparent.map(str::to_owned);
        message
    }

    fn message<M: prost::Message + Name>(self, order_id: OrderId, channel: &str, payload: &M) -> Message {
        Message::new(
            channel,
            &channel::kind::<M>(),
            order_id.to_string(),
            self.effect_id(order_id),
            payload.encode_to_vec(),
        )
    }
}

pub(crate) fn validate_consumer_info(order: &Order) -> wire::ValidateConsumerInfo {
    let placed = &order.placed.0;
    wire::ValidateConsumerInfo {
        order_id: order.id.to_string(),
        consumer_id: placed.consumer_id.clone(),
        order_total: placed.order_total.clone(),
    }
}

pub(crate) fn validate_order_details(order: &Order) -> wire::ValidateOrderDetails {
    let placed = &order.placed.0;
    wire::ValidateOrderDetails {
        order_id: order.id.to_string(),
        restaurant_id: placed.restaurant_id.clone(),
        lines: placed.lines.clone(),
        order_total: placed.order_total.clone(),
        menu_version: placed.menu_version,
        delivery_address: placed.delivery_address.clone(),
        create_time: placed.create_time,
    }
}

fn create_ticket(order: &Order) -> wire::CreateTicket {
    let placed = &order.placed.0;
    let line = |line: &proto::comanda::order::v1::OrderLine| TicketLine {
        menu_item_id: line.menu_item_id.clone(),
        name: line.name.clone(),
        quantity: line.quantity,
    };
    wire::CreateTicket {
        order_id: order.id.to_string(),
        restaurant_id: placed.restaurant_id.clone(),
        lines: placed.lines.iter().map(line).collect(),
    }
}

fn cancel_ticket(order: &Order) -> wire::CancelTicket {
    wire::CancelTicket { order_id: order.id.to_string(), restaurant_id: order.placed.0.restaurant_id.clone() }
}

/// What a service replied about an order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) order_id: OrderId,
    pub(crate) input: Input,
    pub(crate) reasons: Vec<Reason>,
    /// The command that it answers.
    pub(crate) answers: Command,
    /// Its name in the contract, without the package.
    pub(crate) name: &'static str,
}

/// Why a message is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoReply {
    #[error("{0} is no reply to the Order Service")]
    Kind(String),
    #[error(transparent)]
    Payload(#[from] Malformed),
    #[error("{} {}", .0.field, .0.description)]
    OrderId(Violation),
}

impl Reply {
    pub(crate) fn read(message: &Message) -> Result<Self, NoReply> {
        let payload = message.payload.as_slice();
        let kind = message.kind.as_str();
        let is = |name: &str| kind.strip_prefix("comanda.messages.v1.") == Some(name);
        if is(wire::ConsumerValidated::NAME) {
            let reply: wire::ConsumerValidated = channel::decode(payload)?;
            Reply::new(
                &reply.order_id,
                Input::ConsumerValidated,
                Command::ValidateConsumerInfo,
                wire::ConsumerValidated::NAME,
            )
        } else if is(wire::ConsumerValidationFailed::NAME) {
            let reply: wire::ConsumerValidationFailed = channel::decode(payload)?;
            let name = wire::ConsumerValidationFailed::NAME;
            Ok(Reply::new(&reply.order_id, Input::ConsumerRefused, Command::ValidateConsumerInfo, name)?
                .because(reply.reasons))
        } else if is(wire::OrderDetailsValidated::NAME) {
            let reply: wire::OrderDetailsValidated = channel::decode(payload)?;
            let name = wire::OrderDetailsValidated::NAME;
            Reply::new(&reply.order_id, Input::DetailsValidated, Command::ValidateOrderDetails, name)
        } else if is(wire::OrderDetailsRejected::NAME) {
            let reply: wire::OrderDetailsRejected = channel::decode(payload)?;
            let name = wire::OrderDetailsRejected::NAME;
            Ok(Reply::new(&reply.order_id, Input::DetailsRefused, Command::ValidateOrderDetails, name)?
                .because(reply.reasons))
        } else if is(wire::TicketCreated::NAME) {
            let reply: wire::TicketCreated = channel::decode(payload)?;
            Reply::new(&reply.order_id, Input::TicketCreated, Command::CreateTicket, wire::TicketCreated::NAME)
        } else if is(wire::TicketRejected::NAME) {
            let reply: wire::TicketRejected = channel::decode(payload)?;
            let name = wire::TicketRejected::NAME;
            Ok(Reply::new(&reply.order_id, Input::TicketRefused, Command::CreateTicket, name)?.because(reply.reasons))
        } else if is(wire::TicketCancelled::NAME) {
            let reply: wire::TicketCancelled = channel::decode(payload)?;
            Reply::new(&reply.order_id, Input::TicketCancelled, Command::CancelTicket, wire::TicketCancelled::NAME)
        } else {
            Err(NoReply::Kind(kind.to_owned()))
        }
    }

    fn new(order_id: &str, input: Input, answers: Command, name: &'static str) -> Result<Self, NoReply> {
        let order_id = OrderId::parse("order_id", order_id).map_err(NoReply::OrderId)?;
        Ok(Reply { order_id, input, reasons: Vec::new(), answers, name })
    }

    fn because(mut self, reasons: Vec<Reason>) -> Self {
        self.reasons = reasons;
        self
    }
}
