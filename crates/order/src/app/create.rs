//! Takes an order: checks and prices it with what is known here, and writes it down with all that has to follow.

use super::Orders;
use crate::domain::{Draft, Order, Placed, price};
use crate::messages::Command;
use crate::{Error, store as rows};
use proto::OrderId;
use proto::comanda::order::v1 as wire;
use proto::time::Instant;
use std::time::Duration;
use store::Change;
use tracing::debug;

/// Rounds of "the key is new" against "the key is taken", before the caller is told to try again.
const KEY_ROUNDS_MAX: usize = 3;

/// Who asks, and on whose behalf.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The scope of idempotency keys.
    pub(crate) principal: String,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
}

impl Orders {
    /// Takes an order, once for each idempotency key. `fingerprint` tells requests apart that use the same key.
    pub(crate) async fn create(&self, draft: Draft, fingerprint: Vec<u8>, caller: &Caller) -> Result<Order, Error> {
        let Some(request_id) = draft.request_id.clone() else {
            let order = self.place(draft).await?;
            let change = self.to_write(&order, caller);
            return self.write(order, change).await;
        };
        for _ in 0..KEY_ROUNDS_MAX {
            if let Some(keyed) = rows::find_key(&self.store, &caller.principal, &request_id).await? {
                return if keyed.fingerprint == fingerprint {
                    self.get(keyed.order_id).await
                } else {
                    Err(Error::KeyReused)
                };
            }
            let order = self.place(draft.clone()).await?;
            let mut change = self.to_write(&order, caller);
            rows::insert_key(&mut change, &caller.principal, &request_id, fingerprint.clone(), &order);
            match self.write(order, change).await {
                Err(Error::Store { source: store::Error::Conflict { .. }, .. }) => {}
                result => return result,
            }
        }
        Err(Error::Store {
            doing: "use an idempotency key",
            source: store::Error::Conflict { what: "the key settles" },
        })
    }

    /// Prices a draft by the menu that is known here.
    async fn place(&self, draft: Draft) -> Result<Order, Error> {
        let patience = Duration::from_millis(self.config.replica_wait_ms);
        let menu = self.replica.menu(draft.restaurant_id, patience).await?;
        let priced = price(draft.lines, &menu)?;
        let id = OrderId::generate();
        // The id's own time, so that ordering by id is ordering by (create_time, order_id).
        let created = id.created_ms().map_or_else(Instant::now, Instant::from_millis);
        let placed = wire::Order {
            order_id: id.to_string(),
            consumer_id: draft.consumer_id.to_string(),
            restaurant_id: draft.restaurant_id.to_string(),
            lines: priced.lines,
            order_total: Some(priced.total.into()),
            menu_version: menu.version,
            delivery_address: Some(draft.delivery_address),
            create_time: Some(created.into()),
            validate_by: draft.validate_by.map(Into::into),
            ..wire::Order::default()
        };
        Ok(Order::place(id, created, Placed(placed)))
    }

    /// All that a new order brings about, in one transaction.
    fn to_write(&self, order: &Order, caller: &Caller) -> Change {
        let mut change = Change::new();
        rows::insert(&mut change, order);
        for command in [Command::ValidateConsumerInfo, Command::ValidateOrderDetails] {
            let message = command.about(order, caller.traceparent.as_deref());
            outbox::oblige(&mut change, &message, &self.config.outbox);
        }
        change
    }

    async fn write(&self, order: Order, change: Change) -> Result<Order, Error> {
        self.store.commit(change).await.map_err(Error::store("store an order"))?;
        self.metrics.taken();
        debug!(order.id = %order.id, "order taken");
        Ok(order)
    }
}
