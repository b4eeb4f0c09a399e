//! Takes an order: checks and prices it with what is known here, and writes it down with all that has to follow.

use super::Orders;
use crate::Error;
use crate::domain::{Draft, Order, Placed, price};
use crate::messages::clients::Asker;
use crate::messages::{Command, events};
use crate::store::{self as rows, Key};
use prost::Message as _;
use proto::comanda::order::v1 as wire;
use proto::time::Instant;
use proto::{OrderId, Violations};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use store::Change;
use tracing::debug;

/// Who asks, and on whose behalf.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The scope of idempotency keys.
    pub(crate) principal: String,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
    /// Who is to be answered over a channel, in the transaction that does what was asked for.
    pub(crate) asker: Option<Asker>,
}

/// A request for an order, whichever way it came.
#[derive(Debug)]
pub(crate) struct Wish {
    draft: Result<Draft, Violations>,
    key: Option<Key>,
    /// How long whoever asks waits for the answer, if that was said.
    timeout: Option<Duration>,
}

impl Wish {
    /// Reads a request that arrived at `now`.
    pub(crate) fn read(mut request: wire::CreateOrderRequest, now: Instant) -> Self {
        let key = key(&mut request);
        Wish { draft: Draft::parse(request, now), key, timeout: None }
    }

    /// The same of somebody who waits for so long.
    pub(crate) fn within(self, timeout: Option<Duration>) -> Self {
        Wish { timeout, ..self }
    }
}

/// The key of a request that carries one, with all else of the request hashed, to tell requests apart that carry the same key.
fn key(request: &mut wire::CreateOrderRequest) -> Option<Key> {
    if request.request_id.is_empty() {
        return None;
    }
    // Put back afterwards: cheaper than a copy of the whole order without it.
    let request_id = std::mem::take(&mut request.request_id);
    let fingerprint = Sha256::digest(request.encode_to_vec()).to_vec();
    request.request_id.clone_from(&request_id);
    Some(Key { request_id, fingerprint })
}

/// What came of a request for an order.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The order is new; the caller's command, if it was one, is answered.
    Now(Order),
    /// It was taken before, under the same key.
    Before(Order),
}

impl Orders {
    /// Takes an order, once for each idempotency key.
    ///
    /// A key that is new, as nearly all are, costs no look-up: it is written with the order, and only what fails is looked up. So a repeated
    /// call is answered with its order even if the same request would be refused by now.
    pub(crate) async fn create(&self, wish: Wish, caller: &Caller) -> Result<Taken, Error> {
        let Wish { draft, key, timeout } = wish;
        let usual = Duration::from_millis(self.config.replica_wait_ms);
        // Half of what the caller gives: so it learns that there is no such restaurant, and not only that its time is over.
        let patience = timeout.map_or(usual, |timeout| usual.min(timeout / 2));
        let taken = self.take((draft, patience), key.as_ref(), caller).await;
        let (Err(error), Some(key)) = (&taken, key) else { return taken.map(Taken::Now) };
        if error.is_fault() && !error.is_conflict() {
            return taken.map(Taken::Now);
        }
        match rows::find_key(&self.store, &caller.principal, &key.request_id).await? {
            Some(keyed) if keyed.fingerprint == key.fingerprint => self.get(keyed.order_id).await.map(Taken::Before),
            Some(_) => Err(Error::KeyReused),
            None => taken.map(Taken::Now),
        }
    }

    async fn take(
        &self,
        (draft, patience): (Result<Draft, Violations>, Duration),
        key: Option<&Key>,
        caller: &Caller,
    ) -> Result<Order, Error> {
        let mut order = self.place(draft?, patience).await?;
        if let Some(validators) = &self.validators {
            validators.validate(&order).await?;
        }
        order.client = caller.asker.as_ref().map(|asker| asker.client.clone());
        let mut change = self.to_write(&order, caller);
        if let Some(key) = key {
            rows::insert_key(&mut change, &caller.principal, key, &order);
        }
        self.store.commit(change).await.map_err(Error::store("store an order"))?;
        self.recent.note(&order);
        self.metrics.taken();
        debug!(order.id = %order.id, "order taken");
        Ok(order)
    }

    /// Prices a draft by the menu that is known here; waits up to `patience` to learn of one.
    async fn place(&self, draft: Draft, patience: Duration) -> Result<Order, Error> {
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
        Ok(Order::place(id, created, Placed(Arc::new(placed))))
    }

    /// All that a new order brings about, in one transaction.
    fn to_write(&self, order: &Order, caller: &Caller) -> Change {
        let mut change = Change::new();
        // All of it is new: no statement looks at what another one wrote.
        change.join_inserts();
        rows::insert(&mut change, order);
        for command in [Command::ValidateConsumerInfo, Command::ValidateOrderDetails] {
            let message = command.about(order, caller.traceparent.as_deref());
            outbox::oblige(&mut change, &message, &self.config.outbox);
        }
        outbox::append(&mut change, &events::created(order, caller.traceparent.as_deref()));
        if let Some(asker) = &caller.asker {
            asker.accept(&mut change, order);
        }
        change
    }
}
