//! Changes a consumer.

use super::create_consumer::look;
use crate::Error;
use crate::domain::{Consumer, Revision};
use proto::ConsumerId;
use proto::time::Instant;
use store::{Change, Store};

/// How often a change is tried that others overtake. 5: as many writers at once all succeed, since of those who try one always does.
const TRIES_MAX: usize = 5;

/// Changes a consumer, now, and returns it as it is then.
pub(crate) async fn update_consumer(
    store: &Store,
    consumer_id: ConsumerId,
    revision: &Revision,
) -> Result<Consumer, Error> {
    for _ in 0..TRIES_MAX {
        let before = crate::store::load(store, consumer_id).await?.ok_or(Error::Unknown(consumer_id))?;
        let Some(after) = before.revised(revision, Instant::now()) else { return Ok(before) };
        let mut change = Change::new();
        crate::store::update(&mut change, &after);
        match store.commit(change).await {
            Ok(_) => return Ok(after),
            Err(store::Error::Conflict { .. }) => {}
            Err(source @ store::Error::Unknown) => return look(store, after, source).await,
            Err(source) => return Err(Error::Save { consumer_id, source }),
        }
    }
    Err(Error::Overtaken(consumer_id))
}
