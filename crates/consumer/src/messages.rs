//! Commands in, replies out.

use crate::domain::Reason;
use crate::{app, wire};
use messaging::Message;
use outbox::{Outcome, Respond, Response};
use prost::Name;
use proto::channel::{ORDER_REPLIES, decode, kind};
use proto::comanda::messages::v1::{ConsumerValidated, ConsumerValidationFailed, ValidateConsumerInfo};
use proto::{OrderId, Violation};
use std::error::Error as _;
use store::{Change, Store};

/// Answers the commands to the Consumer Service. Answering changes nothing but the outbox and the inbox.
#[derive(Debug)]
pub(crate) struct Validator {
    store: Store,
}

impl Validator {
    pub(crate) fn new(store: Store) -> Self {
        Validator { store }
    }
}

impl Respond for Validator {
    async fn respond(&self, command: &Message) -> Result<Response, Outcome> {
        if command.kind != kind::<ValidateConsumerInfo>() {
            return Err(Outcome::Poison { why: format!("commands of kind {} are not known here", command.kind) });
        }
        let command: ValidateConsumerInfo = decode(&command.payload).map_err(|malformed| Outcome::Poison {
            why: malformed.source().map_or_else(|| malformed.to_string(), |cause| format!("{malformed}: {cause}")),
        })?;
        let asked = wire::asked(&command).map_err(poison)?;
        let verdict = app::validate_consumer_info(&self.store, asked.consumer_id, asked.total).await;
        let verdict = verdict.map_err(|error| Outcome::of_failure(&error))?;
        Ok(Response { reply: reply(asked.order_id, verdict), change: Change::new() })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn poison(violation: Violation) -> Outcome {
    Outcome::Poison { why: format!("{} {}", violation.field, violation.description) }
}

fn reply(order_id: OrderId, verdict: Result<(), Vec<Reason>>) -> Message {
    let order = order_id.to_string();
    match verdict {
        Ok(()) => message(order_id, &ConsumerValidated { order_id: order }),
        Err(reasons) => {
            let reasons = reasons.iter().map(wire::reason).collect();
            message(order_id, &ConsumerValidationFailed { order_id: order, reasons })
        }
    }
}

/// A reply to the Order Service; the inbox fills in its effect and its cause.
fn message<M: Name>(order_id: OrderId, reply: &M) -> Message {
    Message::new(ORDER_REPLIES, &kind::<M>(), order_id.to_string(), String::new(), reply.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use iso_currency::Currency;
    use prost::Message as _;
    use proto::channel::CONSUMER_COMMANDS;
    use proto::{Amount, ConsumerId};

    fn command(kind: &str, payload: Vec<u8>) -> Message {
        Message::new(CONSUMER_COMMANDS, kind, "key".to_owned(), "effect".to_owned(), payload)
    }

    fn ask(total: Option<Amount>) -> Message {
        let ask = ValidateConsumerInfo {
            order_id: OrderId::generate().to_string(),
            consumer_id: ConsumerId::generate().to_string(),
            order_total: total.map(Into::into),
        };
        command(&kind::<ValidateConsumerInfo>(), ask.encode_to_vec())
    }

    async fn outcome(command: &Message, migrated: bool) -> Result<String, Outcome> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("consumer.db"), &store::Config::default()).unwrap();
        if migrated {
            crate::store::migrate(&store).await.unwrap();
        }
        Validator::new(store).respond(command).await.map(|response| response.reply.kind)
    }

    #[tokio::test]
    async fn a_store_that_fails_refuses_nobody() {
        let ask = ask(Some(Amount::new(1, Currency::GBP)));

        assert!(matches!(outcome(&ask, false).await, Err(Outcome::Retry { .. } | Outcome::Fault { .. })));
        assert_eq!(outcome(&ask, true).await, Ok(kind::<ConsumerValidationFailed>()));
    }

    #[tokio::test]
    async fn what_breaks_the_contract_is_poison() {
        let kind = kind::<ValidateConsumerInfo>();
        for bad in [ask(None), command(&kind, vec![0xff]), command(&kind, Vec::new()), command("Sing", Vec::new())] {
            assert!(matches!(outcome(&bad, true).await, Err(Outcome::Poison { .. })), "{bad:?}");
        }
    }
}
