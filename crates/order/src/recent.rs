//! Undecided orders as this process saw them last, so that a reply need not read what was just written.
//!
//! What is remembered may be old, since other processes change orders too. So only a change may rest on it, which the commit checks by
//! the order's version; that nothing changes is never concluded from memory.

use crate::domain::Order;
use proto::OrderId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Orders remembered at most: 4,096 x ~2 KiB = 8 MiB. When it is full it is emptied, which costs one read for each that is still needed.
const ORDERS_MAX: usize = 4_096;

/// The orders. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent(Arc<Mutex<HashMap<OrderId, Order>>>);

impl Recent {
    pub(crate) fn get(&self, order_id: OrderId) -> Option<Order> {
        self.orders().get(&order_id).cloned()
    }

    /// Remembers an order that was just written, unless a newer version of it is known; one that is decided is of no more use.
    pub(crate) fn note(&self, order: &Order) {
        let mut orders = self.orders();
        if order.state.is_decided() {
            orders.remove(&order.id);
        } else if orders.get(&order.id).is_none_or(|known| known.version < order.version) {
            if orders.len() >= ORDERS_MAX {
                orders.clear();
            }
            orders.insert(order.id, order.clone());
        }
    }

    pub(crate) fn forget(&self, order_id: OrderId) {
        self.orders().remove(&order_id);
    }

    fn orders(&self) -> MutexGuard<'_, HashMap<OrderId, Order>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Placed, State};
    use proto::time::Instant;

    fn order() -> Order {
        Order::place(OrderId::generate(), Instant(0), Placed::default())
    }

    #[test]
    fn an_older_version_does_not_replace_a_newer_one() {
        let (recent, old) = (Recent::default(), order());
        let new = old.moved(State::ConsumerValidated, Vec::new(), Instant(1));
        recent.note(&new);

        recent.note(&old);

        assert_eq!(recent.get(old.id), Some(new));
    }

    #[test]
    fn a_decided_order_is_forgotten() {
        let (recent, order) = (Recent::default(), order());
        recent.note(&order);

        recent.note(&order.moved(State::Cancelled, Vec::new(), Instant(1)));

        assert_eq!(recent.get(order.id), None);
    }

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let recent = Recent::default();

        for _ in 0..=ORDERS_MAX {
            recent.note(&order());
        }

        assert!(recent.orders().len() <= ORDERS_MAX);
    }
}
