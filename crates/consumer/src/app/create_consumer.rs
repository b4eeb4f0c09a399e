//! Takes a consumer in.

use crate::Error;
use crate::domain::{Consumer, Profile};
use proto::time::Instant;
use store::{Change, Store};

/// Takes a consumer in, now.
pub(crate) async fn create_consumer(store: &Store, profile: Profile) -> Result<Consumer, Error> {
    let consumer = Consumer::new(profile, Instant::now());
    let mut change = Change::new();
    crate::store::insert(&mut change, &consumer);
    match store.commit(change).await {
        Ok(_) => Ok(consumer),
        Err(source @ store::Error::Unknown) => look(store, consumer, source).await,
        Err(source) => Err(Error::Save { consumer_id: consumer.id, source }),
    }
}

/// Looks whether a consumer was saved. That it is not there yet does not say that it never will be.
pub(super) async fn look(store: &Store, saved: Consumer, unknown: store::Error) -> Result<Consumer, Error> {
    match crate::store::load(store, saved.id).await {
        Ok(Some(found)) if found == saved => Ok(saved),
        // Another change came after it, or before it; whoever asks can tell which.
        Ok(_) | Err(_) => Err(Error::SaveUnknown { consumer_id: saved.id, source: unknown }),
    }
}
