//! Calls a ticket off, whether it is there or still to come.

use crate::Error;
use crate::domain::{Cancellation, cancel};
use proto::time::Instant;
use proto::{OrderId, RestaurantId};
use store::{Change, Store};

/// Decides what `change` has to do so that nothing is cooked for the order.
pub(crate) async fn cancel_ticket(
    store: &Store,
    order_id: OrderId,
    restaurant_id: Option<RestaurantId>,
    change: &mut Change,
) -> Result<(), Error> {
    let existing = crate::store::ticket_of_order(store, order_id).await?;
    match cancel(order_id, existing.as_ref(), restaurant_id, Instant::now()) {
        Cancellation::CallOff(ticket) => crate::store::call_off(change, &ticket),
        Cancellation::Bury(tombstone) => crate::store::insert_ticket(change, &tombstone),
        Cancellation::Nothing => {}
    }
    Ok(())
}
