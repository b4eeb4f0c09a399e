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
    let saved = store.commit(change).await;
    saved.map_err(|source| Error::Save { consumer_id: consumer.id, source })?;
    Ok(consumer)
}
