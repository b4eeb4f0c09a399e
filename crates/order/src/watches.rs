//! Tells whoever watches an order that it has changed.

use crate::Error;
use crate::domain::Order;
use proto::OrderId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

type Latest = Option<Arc<Order>>;

/// Who watches which order in this process. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Watches {
    by_order: Arc<Mutex<HashMap<OrderId, watch::Sender<Latest>>>>,
    max: usize,
}

/// One watch. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Watch {
    order_id: OrderId,
    latest: watch::Receiver<Latest>,
    watches: Watches,
}

impl Watches {
    /// At most `max` orders can be watched at once.
    pub(crate) fn new(max: usize) -> Self {
        Watches { by_order: Arc::default(), max }
    }

    pub(crate) fn start(&self, order_id: OrderId) -> Result<Watch, Error> {
        let mut by_order = self.by_order();
        if by_order.len() >= self.max && !by_order.contains_key(&order_id) {
            return Err(Error::TooManyWatches);
        }
        let latest = by_order.entry(order_id).or_insert_with(|| watch::Sender::new(None)).subscribe();
        Ok(Watch { order_id, latest, watches: self.clone() })
    }

    /// Tells of a change that is committed. Costs a look-up when nobody watches.
    pub(crate) fn tell(&self, order: &Order) {
        if let Some(sender) = self.by_order().get(&order.id) {
            sender.send_replace(Some(Arc::new(order.clone())));
        }
    }

    fn by_order(&self) -> MutexGuard<'_, HashMap<OrderId, watch::Sender<Latest>>> {
        self.by_order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Waits for a change after the last one seen; `None` when none can come any more. Cancel safe: the newest change is kept.
    pub(crate) async fn changed(&mut self) -> Option<Arc<Order>> {
        self.latest.changed().await.ok()?;
        self.latest.borrow_and_update().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut by_order = self.watches.by_order();
        // The one that is being dropped still counts.
        if by_order.get(&self.order_id).is_some_and(|sender| sender.receiver_count() <= 1) {
            by_order.remove(&self.order_id);
        }
    }
}
