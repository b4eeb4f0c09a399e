//! Follows one order: every version once, in order, until it is decided.

use super::Orders;
use crate::Error;
use crate::domain::Order;
use crate::store::{self as rows, Step};
use crate::watches::Watch;
use futures_util::Stream;
use futures_util::stream::unfold;
use proto::OrderId;
use std::collections::VecDeque;
use std::time::Duration;

/// How often the database is asked although nothing was heard: another process may have changed the order.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

struct Following {
    orders: Orders,
    order_id: OrderId,
    watch: Watch,
    /// The last version that was handed out.
    seen: i64,
    ahead: VecDeque<Order>,
    is_over: bool,
}

impl Orders {
    /// Each version of an order after `after_version`. Ends after the one that decides it.
    pub(crate) async fn watch(
        &self,
        order_id: OrderId,
        after_version: i64,
    ) -> Result<impl Stream<Item = Result<Order, Error>> + Send + use<>, Error> {
        let watch = self.watches.start(order_id)?;
        let mut following = Following {
            orders: self.clone(),
            order_id,
            watch,
            seen: after_version,
            ahead: VecDeque::new(),
            is_over: false,
        };
        following.read_on().await?;
        Ok(unfold(following, |mut following| async move { following.next().await.map(|item| (item, following)) }))
    }

    /// Waits up to `patience` for an order to be decided, and returns it as it is then.
    pub(crate) async fn wait_until_decided(&self, order: Order, patience: Duration) -> Result<Order, Error> {
        let mut watch = self.watches.start(order.id)?;
        let mut order = self.get(order.id).await?;
        let decided = async {
            while !order.state.is_decided() {
                match watch.changed().await {
                    Some(newer) => order = (*newer).clone(),
                    None => break,
                }
            }
        };
        // Not decided in time is an answer as well: the order as it is.
        let _elapsed = tokio::time::timeout(patience, decided).await.is_err();
        Ok(order)
    }
}

impl Following {
    async fn next(&mut self) -> Option<Result<Order, Error>> {
        loop {
            if let Some(order) = self.ahead.pop_front() {
                self.seen = order.version;
                self.is_over = order.state.is_decided();
                return Some(Ok(order));
            }
            if self.is_over {
                return None;
            }
            match tokio::time::timeout(ASK_AGAIN_AFTER, self.watch.changed()).await {
                Ok(Some(order)) if order.version <= self.seen => {}
                Ok(Some(order)) if order.version == self.seen + 1 => self.ahead.push_back((*order).clone()),
                Ok(_) | Err(_) => {
                    if let Err(error) = self.read_on().await {
                        self.is_over = true;
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    /// Reads the versions after the last one that was handed out.
    async fn read_on(&mut self) -> Result<(), Error> {
        let (order, steps) = rows::find_with_history(&self.orders.store, self.order_id, self.seen).await?;
        self.is_over = order.state.is_decided() && steps.is_empty();
        self.ahead.extend(steps.into_iter().map(|step| as_of(&order, step)));
        Ok(())
    }
}

/// The order as it was after a step.
fn as_of(order: &Order, step: Step) -> Order {
    let Step { version, state, at, reasons, cause: _ } = step;
    Order { version, state, updated: at, reasons, ..order.clone() }
}
