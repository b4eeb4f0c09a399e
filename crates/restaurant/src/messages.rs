//! Commands in, replies and events out.

use crate::app::Verdict;
use crate::domain::{Restaurant, Wish};
use crate::store::MenuCache;
use crate::{Error, app, wire};
use messaging::Message;
use outbox::{Outcome, Respond, Response};
use prost::{Message as _, Name};
use proto::channel::{ORDER_REPLIES, RESTAURANT_EVENTS, decode, kind};
use proto::comanda::messages::v1::{
    CancelTicket, CreateTicket, OrderDetailsRejected, OrderDetailsValidated, RestaurantRevised, TicketCancelled,
    TicketCreated, TicketRejected, ValidateOrderDetails,
};
use proto::{OrderId, RestaurantId, Violation};
use std::error::Error as _;
use store::{Change, Store};

/// Answers the commands to the Restaurant Service.
#[derive(Debug)]
pub(crate) struct Kitchen {
    store: Store,
    menus: MenuCache,
}

impl Kitchen {
    pub(crate) fn new(store: Store) -> Self {
        Kitchen { store, menus: MenuCache::default() }
    }

    async fn validate_order_details(&self, payload: &[u8]) -> Result<Response, Outcome> {
        let command: ValidateOrderDetails = read(payload)?;
        let order_id = order_id(&command.order_id)?;
        let order = wire::order(&command).map_err(|violation| poison(&violation))?;
        let verdict = app::validate_order_details(&self.store, &self.menus, &order).await;
        let verdict = verdict.map_err(|error| failed(&error))?;
        Ok(Response { reply: judged(order_id, verdict), change: Change::new() })
    }

    async fn create_ticket(&self, payload: &[u8]) -> Result<Response, Outcome> {
        let command: CreateTicket = read(payload)?;
        let order_id = order_id(&command.order_id)?;
        let lines = wire::ticket_lines(&command.lines).map_err(|violation| poison(&violation))?;
        let (wish, cook) = (Wish { order_id, lines }, restaurant_id(&command.restaurant_id));
        let mut change = Change::new();
        let ticket = app::create_ticket(&self.store, wish, cook, &mut change).await.map_err(|error| failed(&error))?;
        let order = order_id.to_string();
        let reply = match ticket {
            Ok(ticket_id) => reply(order_id, &TicketCreated { order_id: order, ticket_id: ticket_id.to_string() }),
            Err(reason) => reply(order_id, &TicketRejected { order_id: order, reasons: vec![wire::reason(&reason)] }),
        };
        Ok(Response { reply, change })
    }

    async fn cancel_ticket(&self, payload: &[u8]) -> Result<Response, Outcome> {
        let command: CancelTicket = read(payload)?;
        let (order_id, cook) = (order_id(&command.order_id)?, restaurant_id(&command.restaurant_id));
        let mut change = Change::new();
        app::cancel_ticket(&self.store, order_id, cook, &mut change).await.map_err(|error| failed(&error))?;
        Ok(Response { reply: reply(order_id, &TicketCancelled { order_id: order_id.to_string() }), change })
    }
}

impl Respond for Kitchen {
    async fn respond(&self, command: &Message) -> Result<Response, Outcome> {
        let payload = command.payload.as_slice();
        match command.kind.as_str() {
            it if it == kind::<ValidateOrderDetails>() => self.validate_order_details(payload).await,
            it if it == kind::<CreateTicket>() => self.create_ticket(payload).await,
            it if it == kind::<CancelTicket>() => self.cancel_ticket(payload).await,
            unknown => Err(Outcome::Poison { why: format!("commands of kind {unknown} are not known here") }),
        }
    }
}

/// The event that tells everybody what a restaurant is now.
pub(crate) fn revised(restaurant: &Restaurant) -> Message {
    let event = RestaurantRevised { version: restaurant.version, restaurant: Some(wire::restaurant(restaurant)) };
    let (key, kind) = (restaurant.id.to_string(), kind::<RestaurantRevised>());
    let effect_id = format!("{key}:{}:{}", RestaurantRevised::NAME, restaurant.version);
    Message::new(RESTAURANT_EVENTS, &kind, key, effect_id, event.encode_to_vec())
}

fn judged(order_id: OrderId, verdict: Verdict) -> Message {
    let (order, menu_version) = (order_id.to_string(), verdict.menu_version);
    match verdict.result {
        Ok(()) => reply(order_id, &OrderDetailsValidated { order_id: order, menu_version }),
        Err(reasons) => {
            let reasons = reasons.iter().map(wire::reason).collect();
            reply(order_id, &OrderDetailsRejected { order_id: order, reasons, menu_version })
        }
    }
}

/// A reply to the Order Service; the inbox fills in its effect and its cause.
fn reply<M: Name>(order_id: OrderId, reply: &M) -> Message {
    Message::new(ORDER_REPLIES, &kind::<M>(), order_id.to_string(), String::new(), reply.encode_to_vec())
}

fn read<M: Name + Default>(payload: &[u8]) -> Result<M, Outcome> {
    decode(payload).map_err(|malformed| Outcome::Poison {
        why: malformed.source().map_or_else(|| malformed.to_string(), |cause| format!("{malformed}: {cause}")),
    })
}

fn order_id(text: &str) -> Result<OrderId, Outcome> {
    OrderId::parse("order_id", text).map_err(|violation| poison(&violation))
}

/// `None` is an id that no restaurant can have, which is a refusal and not a fault.
fn restaurant_id(text: &str) -> Option<RestaurantId> {
    RestaurantId::parse("restaurant_id", text).ok()
}

fn poison(violation: &Violation) -> Outcome {
    Outcome::Poison { why: format!("{} {}", violation.field, violation.description) }
}

fn failed(error: &Error) -> Outcome {
    Outcome::of_failure(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::channel::RESTAURANT_COMMANDS;

    async fn outcome<M: Name>(payload: &M, migrated: bool) -> Result<String, Outcome> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("restaurant.db"), &store::Config::default()).unwrap();
        if migrated {
            crate::store::migrate(&store).await.unwrap();
        }
        let payload = payload.encode_to_vec();
        let command = Message::new(RESTAURANT_COMMANDS, &kind::<M>(), "key".to_owned(), "effect".to_owned(), payload);
        Kitchen::new(store).respond(&command).await.map(|response| response.reply.kind)
    }

    fn ids() -> (String, String) {
        (OrderId::generate().to_string(), RestaurantId::generate().to_string())
    }

    #[tokio::test]
    async fn a_store_that_fails_refuses_nobody() {
        let (order_id, restaurant_id) = ids();
        let validate = ValidateOrderDetails {
            order_id: order_id.clone(),
            restaurant_id: restaurant_id.clone(),
            order_total: Some(proto::Amount::new(1, iso_currency::Currency::GBP).into()),
            create_time: Some(proto::time::Instant::now().into()),
            ..ValidateOrderDetails::default()
        };
        let cancel = CancelTicket { order_id: order_id.clone(), restaurant_id: restaurant_id.clone() };
        let create = CreateTicket { order_id, restaurant_id, lines: Vec::new() };

        assert!(matches!(outcome(&validate, false).await, Err(Outcome::Retry { .. } | Outcome::Fault { .. })));
        assert!(matches!(outcome(&create, false).await, Err(Outcome::Retry { .. } | Outcome::Fault { .. })));
        assert!(matches!(outcome(&cancel, false).await, Err(Outcome::Retry { .. } | Outcome::Fault { .. })));
        assert_eq!(outcome(&validate, true).await, Ok(kind::<OrderDetailsRejected>()));
    }

    #[tokio::test]
    async fn what_breaks_the_contract_is_poison() {
        let (order_id, restaurant_id) = ids();
        let line = proto::comanda::restaurant::v1::TicketLine { menu_item_id: "a".to_owned(), ..Default::default() };
        let create = CreateTicket { order_id, restaurant_id, lines: vec![line] };

        assert!(matches!(outcome(&create, true).await, Err(Outcome::Poison { .. })));
        assert!(matches!(outcome(&CancelTicket::default(), true).await, Err(Outcome::Poison { .. })));
        assert!(matches!(outcome(&ValidateOrderDetails::default(), true).await, Err(Outcome::Poison { .. })));
        assert!(matches!(outcome(&TicketCancelled::default(), true).await, Err(Outcome::Poison { .. })));
    }
}
