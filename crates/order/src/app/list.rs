//! Lists orders, newest first.

use super::Orders;
use crate::Error;
use crate::domain::Order;
use crate::store::{self as rows, Filter};
use prost::Message as _;
use proto::OrderId;
use proto::page::{PAGE_BYTES_MAX, Page};

/// Orders read at once: of the largest, ~130 KiB with 500 lines, a page holds 24, so reading further is rarely in vain.
const READ_AT_ONCE: u32 = 50;

impl Orders {
    /// One page, and the token of the next one.
    pub(crate) async fn list(&self, filter: &Filter, page: &Page) -> Result<(Vec<Order>, String), Error> {
        let mut orders: Vec<Order> = Vec::new();
        let mut bytes = 0;
        let mut after = page.after.and_then(|key| OrderId::from_slice(&key));
        let beyond = page.size as usize + 1;
        while orders.len() < beyond && bytes <= PAGE_BYTES_MAX {
            let wanted = READ_AT_ONCE.min(u32::try_from(beyond - orders.len()).unwrap_or(READ_AT_ONCE));
            let read = rows::list(&self.store, filter, after, wanted).await?;
            let Some(last) = read.last() else { break };
            after = Some(last.id);
            bytes += read.iter().map(size).sum::<usize>();
            orders.extend(read);
        }
        let next = page.cut(&mut orders, |order| order.id.to_array(), size);
        Ok((orders, next))
    }
}

/// Bytes of an order in an answer; a few more with its state and times.
fn size(order: &Order) -> usize {
    order.placed.0.encoded_len()
}
