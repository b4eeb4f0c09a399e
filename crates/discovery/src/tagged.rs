//! The names of the services that carry a tag, as a value that is kept fresh, and its writing end.

use crate::endpoints::Counters;
use crate::{Error, Gone};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// What is known of a tag now.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The names of the services.
    pub names: Arc<BTreeSet<String>>,
    /// Why this is not fresh; `None` when it is.
    pub fault: Option<Arc<Error>>,
    /// False until there was an answer, or a snapshot on disk: an empty list says nothing then.
    pub is_known: bool,
}

/// The services that carry a tag. Clones see the same, each with its own mark of what it has seen.
#[derive(Debug, Clone)]
pub struct Tagged {
    listing: watch::Receiver<Listing>,
}

/// Says which services carry a tag. Dropping it leaves the last list, with nobody to keep it fresh.
#[derive(Debug)]
pub struct TagFeed {
    sender: watch::Sender<Listing>,
    counters: Arc<Counters>,
}

impl Tagged {
    /// Names, and the end where an adapter (or a test) says what they are. None is known yet.
    #[must_use]
    pub fn feed() -> (TagFeed, Tagged) {
        let (sender, listing) = watch::channel(Listing::default());
        (TagFeed { sender, counters: Arc::default() }, Tagged { listing })
    }

    /// What is known now.
    #[must_use]
    pub fn now(&self) -> Listing {
        self.listing.borrow().clone()
    }

    /// Waits until the names, or what is wrong with them, are other than when this was last called. Cancel safe: a change is not missed.
    ///
    /// # Errors
    /// When nobody keeps them fresh any more, which is so during a shutdown.
    pub async fn changed(&mut self) -> Result<(), Gone> {
        self.listing.changed().await.map_err(|_| Gone)
    }
}

impl TagFeed {
    /// Says what the names are. Readers are woken if that is news.
    pub fn confirm(&self, names: BTreeSet<String>) {
        self.publish(names, None);
    }

    /// Says what the names are or were, and why nothing newer is known.
    pub(crate) fn publish(&self, names: BTreeSet<String>, fault: Option<Error>) {
        self.sender.send_if_modified(|held| {
            let is_news = !held.is_known || *held.names != names || held.fault.is_some() != fault.is_some();
            *held = Listing { names: Arc::new(names), fault: fault.map(Arc::new), is_known: true };
            is_news
        });
    }

    /// Says why nothing new is known; the last list stays.
    pub fn fail(&self, fault: Error) {
        self.counters.faults.fetch_add(1, Ordering::Relaxed);
        self.sender.send_if_modified(|held| {
            let is_news = held.fault.as_ref().is_none_or(|before| before.to_string() != fault.to_string());
            held.fault = Some(Arc::new(fault));
            is_news
        });
    }

    /// What was said last.
    #[must_use]
    pub fn now(&self) -> Listing {
        self.sender.borrow().clone()
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}
