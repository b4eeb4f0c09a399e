//! Takes in what other services reply.

use super::Orders;
use super::advance::Push;
use crate::Error;
use crate::messages::Reply;
use messaging::Message;
use outbox::{Handle, Outcome};
use std::time::Duration;

/// The first pause before an order is looked for again that a reply is about.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

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
        // PostgreSQL puts a commit into its log before anybody sees it, so where the log is tailed a reply may be here before its order.
        Error::OrderUnknown(_) => Outcome::Fault { after: LOOK_AGAIN_AFTER, why: error.to_string() },
        Error::Corrupt { .. } => Outcome::Poison { why: error.to_string() },
        Error::Invalid(_)
        | Error::RestaurantUnknown { .. }
        | Error::ReplicaNotBuilt
        | Error::KeyReused
        | Error::Refused(_)
        | Error::NotValidated { .. }
        | Error::Decided { .. }
        | Error::Overtaken(_)
        | Error::TooManyWatches
        | Error::Store { .. }
        | Error::Subscribe(_) => Outcome::of_failure(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::OrderId;

    /// A reply that came before its order could be seen was parked, and the order stuck (found by the fault suite with tailing).
    #[test]
    fn a_reply_whose_order_is_not_there_yet_is_tried_again_and_not_for_ever() {
        assert!(matches!(outcome_of(&Error::OrderUnknown(OrderId::generate())), Outcome::Fault { .. }));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_poison() {
        assert!(matches!(outcome_of(&Error::Corrupt { order_id: "1".to_owned() }), Outcome::Poison { .. }));
    }
}
