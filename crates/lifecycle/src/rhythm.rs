//! Work that is done again and again, until the drain.

use crate::Drain;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// A beat that never comes faster than its period; the first one comes at once.
#[derive(Debug)]
pub struct Rhythm {
    ticks: Interval,
    drain: Drain,
}

impl Rhythm {
    /// Beats every `period` until `drain` is requested.
    ///
    /// # Panics
    /// When the period is zero.
    #[must_use]
    pub fn every(period: Duration, drain: Drain) -> Self {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Rhythm { ticks, drain }
    }

    /// Waits for the next beat; false when the drain is requested instead. Cancel safe: a beat is not missed.
    pub async fn beat(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.drain.requested() => false,
            _ = self.ticks.tick() => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn it_beats_at_once_and_then_every_period() {
        let start = Instant::now();
        let mut rhythm = Rhythm::every(Duration::from_secs(5), Drain::new());

        assert!(rhythm.beat().await);
        assert!(rhythm.beat().await);

        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn it_ends_with_the_drain() {
        let drain = Drain::new();
        let mut rhythm = Rhythm::every(Duration::from_secs(5), drain.clone());
        drain.request();

        assert!(!rhythm.beat().await);
    }
}
