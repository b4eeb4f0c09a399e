//! The primitives that the machine rests on, in one place so that a model checker can put its own there.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard};

use std::cell::Cell;
use std::sync::PoisonError;

/// Threads that can have a shard to themselves, one for each bit of [`TAKEN`].
const SHARDS_MAX: usize = 64;
/// Of a thread that came when all were taken.
const SHARED: usize = SHARDS_MAX;
const UNDEALT: usize = usize::MAX;

/// The shards that a living thread has.
static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(UNDEALT) };
    static LEASE: Cell<Option<Lease>> = const { Cell::new(None) };
}

/// A shard that is free for another thread when this one ends.
struct Lease(usize);

impl Drop for Lease {
    fn drop(&mut self) {
        // What is dropped after this in the thread's end may still make calls.
        SHARD.set(SHARED);
        TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
    }
}

/// Shards that a breaker has: one for each thread that is likely to run at once, and some for those that start the others.
pub(crate) fn shards() -> usize {
    let processors = std::thread::available_parallelism().map_or(4, usize::from);
    (processors + 2).min(SHARDS_MAX)
}

/// The shard of this thread, which no other living thread has; or one that no breaker has, perhaps because none was dealt yet.
#[inline]
pub(crate) fn shard() -> usize {
    SHARD.get()
}

/// The shard of this thread, dealt now if none was: the lowest that is free, so that those who come first have one in every breaker.
pub(crate) fn deal() -> usize {
    if shard() != UNDEALT {
        return shard();
    }
    let lowest = |taken: u64| taken | taken.wrapping_add(1);
    let before = TAKEN.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| Some(lowest(taken)));
    let dealt = before.unwrap_or(u64::MAX).trailing_ones() as usize;
    SHARD.set(dealt);
    if dealt != SHARED && LEASE.try_with(|lease| lease.set(Some(Lease(dealt)))).is_err() {
        drop(Lease(dealt));
        return SHARED;
    }
    dealt
}

/// What a thread that panicked left behind is whole: each change is one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn no_two_living_threads_have_the_same_shard() {
        let both = Barrier::new(2);
        let dealt = || {
            let dealt = deal();
            both.wait();
            (dealt, shard())
        };
        let (first, second) = thread::scope(|scope| {
            let (first, second) = (scope.spawn(dealt), scope.spawn(dealt));
            (first.join().unwrap(), second.join().unwrap())
        });

        assert_ne!(first.0, second.0);
        assert_eq!((first.0, second.0), (first.1, second.1));
    }

    #[test]
    fn threads_that_have_ended_leave_their_shards_to_others() {
        for _ in 0..2 * SHARDS_MAX {
            assert!(thread::spawn(deal).join().unwrap() < SHARED);
        }
    }
}
