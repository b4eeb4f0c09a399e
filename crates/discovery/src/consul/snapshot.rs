//! What a watch keeps on disk for its next cold start.

use super::disk::{Disk, Known};
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// How often an unchanged snapshot is written again, so that its age on disk is told well enough.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// The snapshot of one watch, if any are kept.
#[derive(Debug)]
pub(super) struct Snapshot {
    disk: Option<Disk>,
    stored_at: Option<Instant>,
}

impl Snapshot {
    pub(super) fn new(disk: Option<Disk>) -> Self {
        Snapshot { disk, stored_at: None }
    }

    /// What was kept, and how long ago it was confirmed.
    pub(super) async fn recall<T: Known>(&self) -> Option<(T, Duration)> {
        let disk = self.disk.as_ref()?;
        disk.load().await.unwrap_or_else(|error| {
            warn!(file = %disk.file().display(), error = %error, "snapshot not readable");
            None
        })
    }

    /// Lets the next list be kept, since it is another one.
    pub(super) fn outdate(&mut self) {
        self.stored_at = None;
    }

    /// Keeps a list, unless the same was kept a short while ago; an empty one helps nobody.
    pub(super) async fn keep<T: Known>(&mut self, is_empty: bool, known: impl FnOnce() -> T) {
        let Some(disk) = &self.disk else { return };
        let is_stored = self.stored_at.is_some_and(|at| at.elapsed() < STORE_AGAIN_AFTER);
        if is_stored || is_empty {
            return;
        }
        match disk.store(known()).await {
            Ok(()) => self.stored_at = Some(Instant::now()),
            Err(error) => warn!(file = %disk.file().display(), error = %error, "snapshot not written"),
        }
    }
}
