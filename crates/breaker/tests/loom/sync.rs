//! The primitives of the machine, as loom has them.

pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
pub(crate) use loom::sync::{Mutex, MutexGuard};

use std::sync::PoisonError;

/// One, since loom has few threads and much to try.
pub(crate) fn shards() -> usize {
    1
}

pub(crate) fn shard() -> usize {
    0
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
