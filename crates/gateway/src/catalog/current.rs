//! The catalog of now.

use super::Catalog;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::watch;

/// Holds the catalog of now. Readers never wait, for each other or for whoever replaces it.
#[derive(Debug)]
pub(crate) struct Current {
    catalog: ArcSwap<Catalog>,
    replaced: watch::Sender<u64>,
}

impl Current {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Current { catalog: ArcSwap::from_pointee(catalog), replaced: watch::Sender::new(0) }
    }

    /// The snapshot for one request.
    pub(crate) fn now(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    pub(super) fn replace(&self, catalog: Catalog) {
        self.catalog.store(Arc::new(catalog));
        self.replaced.send_modify(|count| *count += 1);
    }

    /// Wakes whenever the catalog was replaced.
    pub(super) fn replaced(&self) -> watch::Receiver<u64> {
        self.replaced.subscribe()
    }
}
