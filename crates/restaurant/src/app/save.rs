//! Commits a change of a restaurant and tells everybody, deciding again when others were faster.

use crate::domain::Restaurant;
use crate::{Error, messages};
use proto::RestaurantId;
use store::{Change, Store};

/// How often a change is tried that others overtake. 5: as many writers at once all succeed, since of those who try one always does.
const TRIES_MAX: usize = 5;

/// Changes a restaurant to what `decide` makes of it, with the statements of `write`, and returns it as it is then. When `decide` makes
/// nothing of it, it stays as it is and nobody is told.
pub(super) async fn save(
    store: &Store,
    restaurant_id: RestaurantId,
    write: fn(&mut Change, &Restaurant),
    decide: impl Fn(&Restaurant) -> Option<Restaurant>,
) -> Result<Restaurant, Error> {
    for _ in 0..TRIES_MAX {
        let before = crate::store::load(store, restaurant_id).await?.ok_or(Error::Unknown(restaurant_id))?;
        let Some(after) = decide(&before) else { return Ok(before) };
        let mut change = Change::new();
        write(&mut change, &after);
        outbox::append(&mut change, &messages::revised(&after));
        match store.commit(change).await {
            Ok(_) => return Ok(after),
            Err(store::Error::Conflict { .. }) => {}
            Err(source @ store::Error::Unknown) => return look(store, after, source).await,
            Err(source) => return Err(Error::Save { restaurant_id, source }),
        }
    }
    Err(Error::Overtaken(restaurant_id))
}

/// Looks whether a restaurant was saved. That it is not there yet does not say that it never will be.
pub(super) async fn look(store: &Store, saved: Restaurant, unknown: store::Error) -> Result<Restaurant, Error> {
    match crate::store::load(store, saved.id).await {
        Ok(Some(found)) if found.version == saved.version && found.update_time == saved.update_time => Ok(saved),
        // Another change came after it, or before it; whoever asks can tell which.
        Ok(_) | Err(_) => Err(Error::SaveUnknown { restaurant_id: saved.id, source: unknown }),
    }
}
