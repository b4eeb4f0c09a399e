//! Notices that the bus has lost what it held, and makes good at once.
//!
//! A channel's storage has a time of birth and a number that only grows. When it was born anew, or the number went back, what it held is
//! gone: the commands of this service, or the replies to them, so all obligations are made due now. What a bus held that keeps the last
//! event of each key is for its source to publish again, through [`OnLoss`].

use crate::revive::revive;
use lifecycle::{Drain, Rhythm};
use messaging::{Bus, Incarnation};
use std::collections::HashMap;
use std::future::{Future, ready};
use std::time::Duration;
use store::{Change, Error, Statement, Store};
use tokio::time::Instant;
use tracing::warn;

/// How often the bus is asked.
const PERIOD: Duration = Duration::from_secs(1);
/// How often the number of a channel is noted in the database while it grows; in between, this process remembers it.
const NOTED_EVERY: Duration = Duration::from_secs(10);

/// What the source of a channel does when the bus has lost it.
pub trait OnLoss: Send + Sync {
    /// Publishes again what the channel should hold. Asked again until it succeeds.
    ///
    /// # Errors
    /// When it cannot be done now.
    fn lost(&self, channel: &str) -> impl Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send;
}

/// For a service whose channels hold nothing but commands and replies.
impl OnLoss for () {
    fn lost(
        &self,
        _channel: &str,
    ) -> impl Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send {
        ready(Ok(()))
    }
}

/// Watches the channels that a service uses until it is asked to drain. A bus that cannot be asked is asked again.
pub async fn watch(store: Store, bus: Bus, channels: &'static [&'static str], on_loss: impl OnLoss, drain: Drain) {
    let mut watch = Watch { store, bus, on_loss, known: HashMap::new() };
    let mut rhythm = Rhythm::every(PERIOD, drain);
    while rhythm.beat().await {
        for channel in channels {
            if let Err(error) = watch.look(channel).await {
                warn!(channel, error = error.as_ref() as &dyn std::error::Error, "channel could not be watched");
            }
        }
    }
}

struct Watch<H> {
    store: Store,
    bus: Bus,
    on_loss: H,
    known: HashMap<&'static str, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    incarnation: Option<Incarnation>,
    noted: Option<Incarnation>,
    noted_at: Instant,
}

impl<H: OnLoss> Watch<H> {
    async fn look(&mut self, channel: &'static str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut known = match self.known.get(channel) {
            Some(known) => *known,
            None => recall(&self.store, channel).await?,
        };
        let seen = self.bus.incarnation(channel).await?;
        if is_lost(known.incarnation, seen) {
            warn!(channel, "the bus lost what the channel held");
            self.on_loss.lost(channel).await?;
            let revived = revive(&self.store).await?;
            warn!(channel, revived, "commands will be sent again");
            // Noted last, so that whoever comes after a crash notices the loss too.
            note(&self.store, channel, seen).await?;
            (known.noted, known.noted_at) = (seen, Instant::now());
        } else if known.noted.is_none() != seen.is_none()
            || (known.noted != seen && known.noted_at.elapsed() >= NOTED_EVERY)
        {
            note(&self.store, channel, seen).await?;
            (known.noted, known.noted_at) = (seen, Instant::now());
        }
        known.incarnation = seen;
        self.known.insert(channel, known);
        Ok(())
    }
}

/// Whether what was seen is not what was known, grown.
fn is_lost(known: Option<Incarnation>, seen: Option<Incarnation>) -> bool {
    match (known, seen) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(known), Some(seen)) => known.created_us != seen.created_us || known.last_sequence > seen.last_sequence,
    }
}

async fn recall(store: &Store, channel: &str) -> Result<Known, Error> {
    let query =
        Statement::new("SELECT created_us, last_sequence FROM bus_incarnation WHERE channel = ?1").bind(channel);
    let noted = match store.query(query).await?.first_mut() {
        None => None,
        Some(row) => Some(Incarnation {
            created_us: row.take(0)?,
            last_sequence: u64::try_from(row.take::<i64>(1)?).unwrap_or_default(),
        }),
    };
    Ok(Known { incarnation: noted, noted, noted_at: Instant::now() })
}

async fn note(store: &Store, channel: &str, seen: Option<Incarnation>) -> Result<(), Error> {
    let mut change = Change::new();
    change.push(match seen {
        None => Statement::new("DELETE FROM bus_incarnation WHERE channel = ?1").bind(channel),
        Some(seen) => Statement::new(
            "INSERT INTO bus_incarnation (channel, created_us, last_sequence) VALUES (?1, ?2, ?3)
             ON CONFLICT (channel) DO UPDATE SET created_us = excluded.created_us, last_sequence = excluded.last_sequence",
        )
        .bind(channel)
        .bind(seen.created_us)
        .bind(i64::try_from(seen.last_sequence).unwrap_or(i64::MAX)),
    });
    store.commit(change).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_lost_when_it_is_gone_or_born_anew_or_went_back() {
        let life = |created_us, last_sequence| Some(Incarnation { created_us, last_sequence });

        assert!(!is_lost(None, None));
        assert!(!is_lost(None, life(1, 5)));
        assert!(!is_lost(life(1, 5), life(1, 5)));
        assert!(!is_lost(life(1, 5), life(1, 6)));
        assert!(is_lost(life(1, 5), life(1, 4)));
        assert!(is_lost(life(1, 5), life(2, 9)));
        assert!(is_lost(life(1, 5), None));
    }
}
