//! Takes in what other services reply.

use super::Orders;
use super::advance::Push;
use crate::Error;
use crate::messages::Reply;
use messaging::Message;
use outbox::{Handle, Outcome};

/// Handles the channel of replies. Needs no inbox: an order takes in each reply once by itself.
#[derive(Debug, Clone)]
pub(crate) struct Replies(pub(crate) Orders);

impl Handle for Replies {
    async fn handle(&self, message: &Message) -> Outcome {
        let reply = match Reply::read(message) {
            Ok(reply) => reply,
            Err(error) => return Outcome::Poison { why: error.to_string() },
        };
        let push = Push {
            input: reply.input,
            reasons: reply.reasons,
            cause: reply.name,
            answers: Some(reply.answers),
            asker: None,
            traceparent: message.traceparent.clone(),
        };
        match self.0.advance(reply.order_id, &push).await {
            Ok(_) => Outcome::Done,
            Err(error) => outcome_of(&error),
        }
    }
}

/// What a failure means for the message at hand.
pub(super) fn outcome_of(error: &Error) -> Outcome {
    match error {
        Error::OrderUnknown(_) | Error::Corrupt { .. } => Outcome::Poison { why: error.to_string() },
        Error::Invalid(_)
        | Error::RestaurantUnknown { .. }
        | Error::ReplicaNotBuilt
        | Error::KeyReused
        | Error::Decided { .. }
        | Error::Overtaken(_)
        | Error::TooManyWatches
        | Error::Store { .. }
        | Error::Subscribe(_) => Outcome::of_failure(error),
    }
}
