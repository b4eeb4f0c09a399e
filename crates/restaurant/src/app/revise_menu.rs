//! Replaces a menu, and keeps the one before for a while.

use super::save::save;
use crate::Error;
use crate::domain::{MenuItem, Restaurant};
use proto::RestaurantId;
use proto::time::Instant;
use store::Store;

/// Replaces the menu, now, and returns the restaurant as it is then. The items are priced in its currency, which never changes.
pub(crate) async fn revise_menu(
    store: &Store,
    restaurant_id: RestaurantId,
    items: &[MenuItem],
) -> Result<Restaurant, Error> {
    let decide = |before: &Restaurant| Some(before.with_menu(items.to_vec(), Instant::now()));
    save(store, restaurant_id, crate::store::revise_menu, decide).await
}
