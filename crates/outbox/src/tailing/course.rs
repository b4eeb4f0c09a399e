//! What the one who publishes and the one who marks tell each other, and how tailing ends.

use super::setback::{Cut, Setback, Trouble};
use crate::lease;
use std::sync::atomic::{AtomicU64, Ordering};

/// How tailing ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// As it was asked to.
    Left,
    /// Against its will.
    Setback(Setback),
    /// With the lane or the database.
    Failed(lease::Error),
}

impl From<lease::Error> for Ended {
    fn from(error: lease::Error) -> Self {
        Ended::Failed(error)
    }
}

impl From<store::Error> for Ended {
    fn from(error: store::Error) -> Self {
        Ended::Failed(error.into())
    }
}

impl From<Cut> for Ended {
    fn from(cut: Cut) -> Self {
        Ended::Setback(cut.into())
    }
}

impl From<Trouble> for Ended {
    fn from(trouble: Trouble) -> Self {
        Ended::Setback(trouble.into())
    }
}

/// How far one time of tailing is. Both run in one task, so no order between the numbers is needed.
#[derive(Debug, Default)]
pub(super) struct Course {
    batches: AtomicU64,
    reached: AtomicU64,
    /// The mark to end with; 0: none yet, as marks count from 1.
    last: AtomicU64,
}

impl Course {
    /// Notes that something was published.
    pub(super) fn published(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes whenever something was published.
    pub(super) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Notes that all before a mark is published.
    pub(super) fn reached(&self, mark: u64) {
        self.reached.fetch_max(mark, Ordering::Relaxed);
    }

    /// Whether any mark was reached: the log is read as it should be.
    pub(super) fn has_begun(&self) -> bool {
        self.reached.load(Ordering::Relaxed) > 0
    }

    /// Asks to end with a mark.
    pub(super) fn end_with(&self, mark: u64) {
        self.last.store(mark, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last > 0 && self.reached.load(Ordering::Relaxed) >= last
    }
}
