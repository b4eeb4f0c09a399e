//! The use cases, one file each.

mod advance;
mod clients;
mod create;
mod journey;
mod list;
mod replies;
mod upkeep;
mod validate;
mod watch;

pub(crate) use clients::Clients;
pub(crate) use create::{Caller, Taken, Wish};
pub(crate) use journey::Journey;
pub(crate) use replies::Replies;
pub(crate) use upkeep::{expire_orders, forget_keys, keep_channels_open, observe};
pub(crate) use validate::Validators;

use crate::domain::Order;
use crate::recent::Recent;
use crate::replica::Replica;
use crate::watches::Watches;
use crate::{Config, Error, Metrics};
use proto::OrderId;
use store::Store;

/// What the use cases work with. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) store: Store,
    pub(crate) replica: Replica,
    pub(crate) recent: Recent,
    /// Who is asked before an order is taken; nobody, as a rule.
    pub(crate) validators: Option<Validators>,
    pub(crate) watches: Watches,
    pub(crate) metrics: Metrics,
    pub(crate) config: Config,
}

impl Orders {
    /// An order as it is now.
    pub(crate) async fn get(&self, order_id: OrderId) -> Result<Order, Error> {
        crate::store::find(&self.store, order_id).await
    }
}
