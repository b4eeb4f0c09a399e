//! What is told to whoever follows orders: each version of each order, once.

use crate::domain::Order;
use messaging::Message;
use prost::Name;
use proto::channel;
use proto::comanda::messages::v1 as wire;

/// An order was taken.
pub(crate) fn created(order: &Order, traceparent: Option<&str>) -> Message {
    event(order, traceparent, &wire::OrderCreated { order: Some(order.to_wire()) })
}

/// An order's state has changed.
pub(crate) fn changed(order: &Order, traceparent: Option<&str>) -> Message {
    event(order, traceparent, &wire::OrderChanged { order: Some(order.to_wire()) })
}

fn event<M: Name>(order: &Order, traceparent: Option<&str>, event: &M) -> Message {
    let effect_id = format!("{}:v{}", order.id, order.version);
    let kind = channel::kind::<M>();
    let mut message =
        Message::new(channel::ORDER_EVENTS, &kind, order.id.to_string(), effect_id, event.encode_to_vec());
    message.traceparent = traceparent.map(str::to_owned);
    message
}
