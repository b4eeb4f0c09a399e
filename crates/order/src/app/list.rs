//! Lists orders, newest first.

use super::Orders;
use crate::Error;
use crate::domain::Order;
use crate::store::{self as rows, Filter};
use proto::OrderId;
use proto::page::Page;

impl Orders {
    /// One page, and the token of the next one.
    pub(crate) async fn list(&self, filter: &Filter, page: &Page) -> Result<(Vec<Order>, String), Error> {
        let after = page.after.and_then(|key| OrderId::from_slice(&key));
        let mut orders: Vec<Order> = rows::list(&self.store, filter, after, page.size + 1).await?;
        let next = page.cut(&mut orders, |order| order.id.to_bytes().try_into().unwrap_or_default());
        Ok((orders, next))
    }
}
