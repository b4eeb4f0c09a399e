//! Tells everybody again what each restaurant is now, for a bus that has lost what it held.
//!
//! The newest message of a restaurant is what a new replica begins with, so an old state must not come after a newer one. Each event is
//! appended in a transaction that takes the restaurant's row in the version which the event tells; a revision waits for it, or is seen.

use crate::{Error, messages};
use lifecycle::Drain;
use outbox::OnLoss;
use proto::RestaurantId;
use proto::channel::RESTAURANT_EVENTS;
use std::time::Duration;
use store::{Change, Store};
use tokio::time::sleep;
use tracing::info;

/// Ids that are read at once: 500 x 16 bytes.
const READ_AT_ONCE: u32 = 500;
/// The pause after each event. 5 ms: some 200 events, of ~20 KiB each, in a second leave the outbox to what is new.
const PAUSE: Duration = Duration::from_millis(5);

/// Appends the current event of every restaurant, oldest first, and returns how many those were.
pub(crate) async fn republish(store: &Store, drain: &Drain) -> Result<u64, Error> {
    let mut count = 0;
    let mut after = None;
    loop {
        let ids = crate::store::ids_after(store, after, READ_AT_ONCE).await?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        for id in ids {
            if drain.is_requested() {
                return Err(Error::Stopped);
            }
            append(store, id).await?;
            count += 1;
            sleep(PAUSE).await;
        }
    }
    info!(count, "restaurants published again");
    Ok(count)
}

async fn append(store: &Store, restaurant_id: RestaurantId) -> Result<(), Error> {
    let Some(restaurant) = crate::store::load(store, restaurant_id).await? else { return Ok(()) };
    let mut change = Change::new();
    crate::store::hold(&mut change, &restaurant);
    outbox::append(&mut change, &messages::revised(&restaurant));
    match store.commit(change).await {
        // A conflict is a revision that was faster, and has told everybody.
        Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
        Err(source) => Err(Error::Save { restaurant_id, source }),
    }
}

/// Publishes all restaurants again when the bus has lost their events.
#[derive(Debug)]
pub(crate) struct Republisher {
    pub(crate) store: Store,
    pub(crate) drain: Drain,
}

impl OnLoss for Republisher {
    async fn lost(&self, channel: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if channel == RESTAURANT_EVENTS {
            republish(&self.store, &self.drain).await?;
        }
        Ok(())
    }
}
