//! The endpoints of a service as a value that is kept fresh, and its writing end.

use crate::endpoint::in_order;
use crate::{Endpoint, Error};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What is known of a service now.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its endpoints, sorted by address, each address once.
    pub endpoints: Arc<[Endpoint]>,
    /// When this was last confirmed.
    pub as_of: Instant,
    /// Why it is not fresh; `None` when it is.
    pub fault: Option<Arc<Error>>,
    /// False until there was an answer, or a snapshot on disk: an empty list says nothing then.
    pub is_known: bool,
}

/// The endpoints of a service. Clones see the same, each with its own mark of what it has seen.
#[derive(Debug, Clone)]
pub struct Endpoints {
    snapshot: watch::Receiver<Arc<Snapshot>>,
    counters: Arc<Counters>,
    /// Of a list that never changes, so that it is not taken for abandoned.
    keeper: Option<Arc<Feed>>,
}

/// Nobody keeps the endpoints fresh any more; what is known stays readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody keeps these endpoints fresh any more")]
pub struct Gone;

/// What an adapter has done for one service so far, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// How old the snapshot is.
    pub age: Duration,
    /// Answers that brought something new.
    pub wakes: u64,
    /// Times that members vanished in a way that was not believed at once.
    pub suppressed_shrinks: u64,
    /// Times that a watch had to begin anew.
    pub index_resets: u64,
    /// Answers that did not come, or could not be used.
    pub faults: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) wakes: AtomicU64,
    pub(crate) suppressed_shrinks: AtomicU64,
    pub(crate) index_resets: AtomicU64,
    pub(crate) faults: AtomicU64,
}

impl Endpoints {
    /// Endpoints, and the end where an adapter (or a test) says what they are. None is known yet.
    #[must_use]
    pub fn feed() -> (Feed, Endpoints) {
        let nothing = Snapshot { endpoints: Arc::default(), as_of: Instant::now(), fault: None, is_known: false };
        let (sender, snapshot) = watch::channel(Arc::new(nothing));
        let counters = Arc::new(Counters::default());
        (Feed { sender, counters: counters.clone() }, Endpoints { snapshot, counters, keeper: None })
    }

    /// What is known now.
    #[must_use]
    pub fn now(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Waits until the endpoints, or what is wrong with them, are other than when this was last called. A mere confirmation does not
    /// wake. Cancel safe: a change is not missed.
    ///
    /// # Errors
    /// When nobody keeps them fresh any more, which is so during a shutdown.
    pub async fn changed(&mut self) -> Result<(), Gone> {
        self.snapshot.changed().await.map_err(|_| Gone)
    }

    /// Waits until something is known. Cancel safe: nothing is lost.
    ///
    /// # Errors
    /// When nobody keeps them fresh any more, and nothing is known.
    pub async fn known(&mut self) -> Result<Arc<Snapshot>, Gone> {
        self.snapshot.wait_for(|snapshot| snapshot.is_known).await.map(|known| known.clone()).map_err(|_| Gone)
    }

    /// How long ago the list was last confirmed; a fixed one is always fresh.
    #[must_use]
    pub fn age(&self) -> Duration {
        match self.keeper {
            Some(_) => Duration::ZERO,
            None => self.now().as_of.elapsed(),
        }
    }

    /// What was done to keep them fresh.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            age: self.age(),
            wakes: read(&self.counters.wakes),
            suppressed_shrinks: read(&self.counters.suppressed_shrinks),
            index_resets: read(&self.counters.index_resets),
            faults: read(&self.counters.faults),
        }
    }
}

/// Says what the endpoints of a service are. Dropping it leaves the last list, with nobody to keep it fresh.
#[derive(Debug)]
pub struct Feed {
    sender: watch::Sender<Arc<Snapshot>>,
    counters: Arc<Counters>,
}

impl Feed {
    /// Says what the endpoints are, as of now. Readers are woken if that is news.
    pub fn confirm(&self, endpoints: Vec<Endpoint>) {
        self.publish(endpoints, Instant::now(), None);
    }

    /// Says what the endpoints are or were at some time, and why nothing newer is known.
    pub(crate) fn publish(&self, endpoints: Vec<Endpoint>, as_of: Instant, fault: Option<Error>) {
        let (endpoints, fault) = (in_order(endpoints), fault.map(Arc::new));
        self.counters.faults.fetch_add(fault.is_some().into(), Ordering::Relaxed);
        self.sender.send_if_modified(|held| {
            let is_same = held.is_known && *held.endpoints == *endpoints;
            let is_news = !is_same || !is_same_fault(held.fault.as_deref(), fault.as_deref());
            let endpoints = if is_same { held.endpoints.clone() } else { endpoints.into() };
            *held = Arc::new(Snapshot { endpoints, as_of, fault, is_known: true });
            is_news
        });
    }

    /// Says why nothing new is known; the last list stays.
    pub fn fail(&self, fault: Error) {
        self.counters.faults.fetch_add(1, Ordering::Relaxed);
        self.sender.send_if_modified(|held| {
            let is_news = !is_same_fault(held.fault.as_deref(), Some(&fault));
            *held = Arc::new(Snapshot { fault: Some(Arc::new(fault)), ..Snapshot::clone(held) });
            is_news
        });
    }

    /// What was said last.
    #[must_use]
    pub fn now(&self) -> Arc<Snapshot> {
        self.sender.borrow().clone()
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}

/// To whoever reads them: errors are not comparable, their words are.
fn is_same_fault(a: Option<&Error>, b: Option<&Error>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.to_string() == b.to_string(),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Addresses that an operator has listed.
#[must_use]
pub fn fixed(addresses: Vec<SocketAddr>) -> Endpoints {
    let (feed, mut endpoints) = Endpoints::feed();
    feed.confirm(addresses.into_iter().map(Endpoint::at).collect());
    endpoints.snapshot.mark_unchanged();
    Endpoints { keeper: Some(Arc::new(feed)), ..endpoints }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::{advance, timeout};

    fn at(port: u16) -> Endpoint {
        Endpoint::at(SocketAddr::from(([10, 0, 0, 1], port)))
    }

    fn fault() -> Error {
        Error::AccessSuspected { service: "orders".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fixed_list_is_known_sorted_and_always_fresh() {
        let mut endpoints = fixed(vec![at(2).address, at(1).address, at(2).address]);
        advance(Duration::from_secs(3_600)).await;

        assert!(endpoints.now().is_known);
        assert_eq!(*endpoints.now().endpoints, [at(1), at(2)]);
        assert_eq!(endpoints.age(), Duration::ZERO);
        assert!(
            timeout(Duration::from_secs(1), endpoints.changed()).await.is_err(),
            "it never changes and is not gone"
        );
    }

    #[tokio::test]
    async fn nothing_is_known_before_the_first_answer_and_an_empty_answer_is_one() {
        let (feed, endpoints) = Endpoints::feed();
        assert!(!endpoints.now().is_known);

        feed.confirm(Vec::new());

        assert!(endpoints.now().is_known);
        assert!(endpoints.now().endpoints.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_confirmation_makes_the_list_young_and_wakes_nobody() {
        let (feed, mut endpoints) = Endpoints::feed();
        feed.confirm(vec![at(1)]);
        endpoints.changed().await.unwrap();
        advance(Duration::from_secs(60)).await;
        assert_eq!(endpoints.age(), Duration::from_secs(60));

        feed.confirm(vec![at(1)]);

        assert_eq!(endpoints.age(), Duration::ZERO);
        assert!(timeout(Duration::from_secs(1), endpoints.changed()).await.is_err());
    }

    #[tokio::test]
    async fn a_fault_keeps_the_list_and_wakes_once() {
        let (feed, mut endpoints) = Endpoints::feed();
        feed.confirm(vec![at(1)]);
        endpoints.changed().await.unwrap();

        feed.fail(fault());
        endpoints.changed().await.unwrap();
        feed.fail(fault());

        assert!(!endpoints.snapshot.has_changed().unwrap());
        assert_eq!(*endpoints.now().endpoints, [at(1)]);
        assert!(endpoints.now().fault.is_some());
        assert_eq!(endpoints.stats().faults, 2);
    }

    #[tokio::test]
    async fn endpoints_that_nobody_feeds_are_gone_and_readable() {
        let (feed, mut endpoints) = Endpoints::feed();
        feed.confirm(vec![at(1)]);
        drop(feed);

        assert_eq!(endpoints.changed().await, Ok(()));
        assert_eq!(endpoints.changed().await, Err(Gone));
        assert_eq!(*endpoints.known().await.unwrap().endpoints, [at(1)]);
    }
}
