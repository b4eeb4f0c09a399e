//! Takes a restaurant in, and tells everybody.

use crate::domain::Restaurant;
use crate::wire::Creation;
use crate::{Error, messages};
use proto::time::Instant;
use store::{Change, Store};

/// Takes a restaurant in, now.
pub(crate) async fn create_restaurant(store: &Store, wanted: Creation) -> Result<Restaurant, Error> {
    let Creation { profile, accepts_orders, items } = wanted;
    let restaurant = Restaurant::new(profile, accepts_orders, items, Instant::now());
    let mut change = Change::new();
    crate::store::insert(&mut change, &restaurant);
    outbox::append(&mut change, &messages::revised(&restaurant));
    let saved = store.commit(change).await;
    saved.map_err(|source| Error::Save { restaurant_id: restaurant.id, source })?;
    Ok(restaurant)
}
