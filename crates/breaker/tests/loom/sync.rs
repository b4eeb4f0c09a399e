//! The primitives of the machine, as loom has them.

pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
pub(crate) use loom::sync::{Mutex, MutexGuard};

use std::cell::Cell;
use std::sync::PoisonError;

loom::thread_local! {
    static SHARD: Cell<usize> = Cell::new(1);
}

/// One, since loom has few threads and much to try.
pub(crate) fn shards() -> usize {
    1
}

/// That of [`own_shard`], or the shared one.
pub(crate) fn shard() -> usize {
    SHARD.with(Cell::get)
}

/// Dealt already.
pub(crate) fn deal() -> usize {
    shard()
}

/// Gives this thread a shard of its own. Of one thread only.
pub(crate) fn own_shard() {
    SHARD.with(|shard| shard.set(0));
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
