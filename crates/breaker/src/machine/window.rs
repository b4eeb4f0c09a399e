//! What the last seconds came to: a ring of buckets, in shards, so that two threads do not share a line of cache.
//!
//! A bucket is one word: 8 bits of the generation and 26 of its time slot (the tag), 30 of count. A count with an old tag is worth
//! nothing, so nobody ever clears a bucket: who finds one starts it anew. A bad result is added by compare-and-swap of the whole word,
//! so it can only land in the bucket of the state and the time that it was looked up for. A good one is added outright, which costs half as
//! much: held up in between for longer than a lap, it counts as one good result of the bucket that is there by then. A tag comes again after 2^26 slots (77 days of the
//! shortest); what is left from then in a shard that was not used since would count for the length of one bucket. A thread that was held up
//! between reading state or time and adding may start an old bucket over a new one, whose counts are lost then.
//!
//! Good results are sharded; bad ones are rare, and kept in one ring each.

use super::rules::Rules;
use crate::sync::{AtomicU64, Ordering};

/// Buckets of the ring; a window has at most as many.
pub(crate) const BUCKETS_MAX: u64 = 16;
const COUNT_BITS: u32 = 30;
const SLOT_BITS: u32 = 26;
/// Where a bucket stops counting; half of what fits, so that no number of threads can carry it into the tag.
const COUNT_MAX: u64 = 1 << (COUNT_BITS - 1);
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

/// Two lines of cache of their own, since processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Debug)]
struct Ring([AtomicU64; BUCKETS_MAX as usize]);

#[derive(Debug)]
pub(crate) struct Window {
    good: Box<[Ring]>,
    failures: Ring,
    slow: Ring,
}

/// What is in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

/// A bad result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    Failure,
    Slow,
}

impl Ring {
    fn new() -> Self {
        Ring(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    #[cold]
    fn add(&self, generation: u64, slot: u64) {
        // Of 16 cells, by 4 bits: always there.
        let Some(cell) = self.0.get((slot % BUCKETS_MAX) as usize) else { return };
        let first = first_of(generation, slot);
        let mut seen = cell.load(Ordering::Relaxed);
        loop {
            let next = match seen.wrapping_sub(first) {
                0..COUNT_MAX => seen + 1,
                COUNT_MAX..=COUNT_MASK => return,
                _ => first + 1,
            };
            match cell.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Adds outright to a bucket that has begun.
    #[inline]
    fn add_good(&self, generation: u64, slot: u64) {
        let Some(cell) = self.0.get((slot % BUCKETS_MAX) as usize) else { return };
        if cell.load(Ordering::Relaxed).wrapping_sub(first_of(generation, slot)) < COUNT_MAX {
            cell.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.add(generation, slot);
    }

    fn sum(&self, generation: u64, slot: u64, buckets: u64) -> u64 {
        let oldest = slot.saturating_sub(buckets - 1);
        (oldest..=slot)
            .filter_map(|slot| {
                let count = self.0.get((slot % BUCKETS_MAX) as usize)?.load(Ordering::Relaxed);
                Some(count.wrapping_sub(first_of(generation, slot))).filter(|count| *count <= COUNT_MASK)
            })
            .sum()
    }
}

impl Window {
    pub(crate) fn new(shards: usize) -> Self {
        let shards = shards.next_power_of_two();
        Window { good: (0..shards).map(|_| Ring::new()).collect(), failures: Ring::new(), slow: Ring::new() }
    }

    /// Counts a good result, from the shard of a thread.
    #[inline]
    pub(crate) fn good(&self, shard: usize, generation: u64, slot: u64) {
        if let Some(ring) = self.good.get(shard & (self.good.len() - 1)) {
            ring.add_good(generation, slot);
        }
    }

    pub(crate) fn bad(&self, bad: Bad, generation: u64, slot: u64) {
        match bad {
            Bad::Failure => self.failures.add(generation, slot),
            Bad::Slow => self.slow.add(generation, slot),
        }
    }

    pub(crate) fn counts(&self, generation: u64, slot: u64, rules: &Rules) -> Counts {
        let sum = |ring: &Ring| ring.sum(generation, slot, rules.buckets);
        let (failures, slow) = (sum(&self.failures), sum(&self.slow));
        let good: u64 = self.good.iter().map(sum).sum();
        Counts { calls: good + failures + slow, failures, slow }
    }
}

/// A bucket of this generation and slot with nothing in it.
#[inline]
fn first_of(generation: u64, slot: u64) -> u64 {
    // The top 8 bits are left of the generation; higher ones are shifted out. A bucket is never of slot 0 of generation 0 by chance:
    // that one's first is 0, which is as good as empty.
    generation << (COUNT_BITS + SLOT_BITS) | (slot & SLOT_MASK) << COUNT_BITS
}
