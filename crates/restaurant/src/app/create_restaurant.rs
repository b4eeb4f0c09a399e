//! Takes a restaurant in, and tells everybody.

use super::save::look;
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
    match store.commit(change).await {
        Ok(_) => Ok(restaurant),
        Err(source @ store::Error::Unknown) => look(store, restaurant, source).await,
        Err(source) => Err(Error::Save { restaurant_id: restaurant.id, source }),
    }
}
