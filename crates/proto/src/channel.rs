//! The channels of the contract, and how its messages are put into them.

use prost::{Message, Name};

/// Commands to the Consumer Service.
pub const CONSUMER_COMMANDS: &str = "consumer.commands";
/// Commands to the Restaurant Service.
pub const RESTAURANT_COMMANDS: &str = "restaurant.commands";
/// Replies to the Order Service.
pub const ORDER_REPLIES: &str = "order.replies";
/// What changes in restaurants, keyed by restaurant; the newest message of each is kept.
pub const RESTAURANT_EVENTS: &str = "restaurant.events";

/// Commands of clients outside to the Order Service.
pub const ORDER_COMMANDS: &str = "order.commands";
/// Answers of the Order Service to clients outside, keyed by their reply addresses.
pub const ORDER_ANSWERS: &str = "order.answers";
/// What happens to orders, keyed by order, for whoever follows.
pub const ORDER_EVENTS: &str = "order.events";

/// A payload that is not the message its kind says it is.
#[derive(Debug, thiserror::Error)]
#[error("payload is no {kind}")]
pub struct Malformed {
    /// The kind.
    pub kind: String,
    /// What is wrong with it.
    #[source]
    pub source: prost::DecodeError,
}

/// The kind of a message: its full Protobuf name.
#[must_use]
pub fn kind<M: Name>() -> String {
    M::full_name()
}

/// Reads a payload.
///
/// # Errors
/// When it is no such message.
pub fn decode<M: Message + Name + Default>(payload: &[u8]) -> Result<M, Malformed> {
    M::decode(payload).map_err(|source| Malformed { kind: kind::<M>(), source })
}
