//! Changes a restaurant.

use super::save::save;
use crate::Error;
use crate::domain::{Restaurant, Revision};
use proto::RestaurantId;
use proto::time::Instant;
use store::Store;

/// Changes a restaurant, now, and returns it as it is then.
pub(crate) async fn update_restaurant(
    store: &Store,
    restaurant_id: RestaurantId,
    revision: &Revision,
) -> Result<Restaurant, Error> {
    let decide = |before: &Restaurant| before.revised(revision.clone(), Instant::now());
    save(store, restaurant_id, crate::store::update, decide).await
}
