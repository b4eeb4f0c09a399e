//! Tells what happened to an order and what it waits for, from this service's data alone, so that it works in an outage.

use super::Orders;
use crate::Error;
use crate::domain::Order;
use crate::messages::Command;
use crate::store::{self as rows, Step};
use proto::OrderId;
use proto::time::Instant;

/// An order's past, and what stands between it and its end.
#[derive(Debug, Clone)]
pub(crate) struct Journey {
    pub(crate) order: Order,
    pub(crate) steps: Vec<Step>,
    pub(crate) awaited: Vec<Awaited>,
}

/// A reply that is still to come.
#[derive(Debug, Clone)]
pub(crate) struct Awaited {
    pub(crate) command: Command,
    pub(crate) since: Instant,
    pub(crate) attempts: i32,
    pub(crate) next_attempt: Instant,
    pub(crate) is_published: bool,
}

impl Orders {
    pub(crate) async fn journey(&self, order_id: OrderId) -> Result<Journey, Error> {
        let (order, steps) = rows::find_with_history(&self.store, order_id, 0).await?;
        let waiting = outbox::awaited(&self.store, &order_id.to_string()).await;
        let waiting = waiting.map_err(Error::store("load what an order waits for"))?;
        let awaited = waiting.iter().filter_map(|it| Awaited::read(it, order_id)).collect();
        Ok(Journey { order, steps, awaited })
    }
}

impl Awaited {
    /// `None` for a command that a later version of this program has sent.
    fn read(awaited: &outbox::Awaited, order_id: OrderId) -> Option<Self> {
        Some(Awaited {
            command: Command::ALL.into_iter().find(|it| it.effect_id(order_id) == awaited.effect_id)?,
            since: Instant(awaited.since_us),
            attempts: i32::try_from(awaited.attempts).unwrap_or(i32::MAX),
            next_attempt: Instant(awaited.next_attempt_us),
            is_published: awaited.is_published,
        })
    }
}
