//! The primitives that the machine rests on, in one place so that a model checker can put its own there.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard};

use std::cell::Cell;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;

/// Shards of a breaker at most: 256 bytes each.
const SHARDS_MAX: usize = 16;

/// Shards that a breaker has: two for each processor, so that two threads seldom meet in one.
pub(crate) fn shards() -> usize {
    let processors = std::thread::available_parallelism().map_or(4, usize::from);
    (2 * processors).next_power_of_two().min(SHARDS_MAX)
}

/// The shard of this thread; the machine takes it by the number of shards that there are.
#[inline]
pub(crate) fn shard() -> usize {
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    SHARD.with(|shard| match shard.get() {
        usize::MAX => deal(shard),
        dealt => dealt,
    })
}

/// Threads are dealt in turn.
#[cold]
fn deal(shard: &Cell<usize>) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let dealt = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS_MAX;
    shard.set(dealt);
    dealt
}

/// What a thread that panicked left behind is whole: each change is one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
