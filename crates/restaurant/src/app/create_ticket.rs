//! Gives the kitchen a ticket, once for an order.

use crate::Error;
use crate::domain::{Creation, Reason, Wish, create};
use proto::time::Instant;
use proto::{RestaurantId, TicketId};
use store::{Change, Store};

/// Decides on a ticket: the one that there is, or will be once `change` is committed; or why there is none.
pub(crate) async fn create_ticket(
    store: &Store,
    wish: Wish,
    restaurant_id: Option<RestaurantId>,
    change: &mut Change,
) -> Result<Result<TicketId, Reason>, Error> {
    let existing = crate::store::ticket_of_order(store, wish.order_id).await?;
    let cook = match restaurant_id {
        Some(restaurant_id) => crate::store::exists(store, restaurant_id).await?.then_some(restaurant_id),
        None => None,
    };
    Ok(match create(wish, existing.as_ref(), cook, Instant::now()) {
        Creation::Create(ticket) => {
            crate::store::insert_ticket(change, &ticket);
            Ok(ticket.id)
        }
        Creation::Exists(ticket_id) => Ok(ticket_id),
        Creation::CalledOff => Err(Reason::TicketCalledOff),
        Creation::RestaurantUnknown => Err(Reason::RestaurantUnknown),
    })
}
