//! What the last seconds came to: a ring of buckets, in shards, so that two threads do not share a line of cache.
//!
//! A bucket is one word: 8 bits of the generation and 26 of its time slot (the tag), 30 of count. A count with an old tag is worth
//! nothing, so nobody ever clears a bucket: who finds one starts it anew. Where several threads write, they do by compare-and-swap of the whole
//! word, so a result can only land in the bucket of the state and the time that it was looked up for. A tag comes again after 2^26 slots (77 days of the
//! shortest); what is left from then in a shard that was not used since would count for the length of one bucket. A thread that was held up
//! between reading state or time and adding may start an old bucket over a new one, whose counts are lost then.
//!
//! Good results are sharded; bad ones are rare, and kept in one ring each.

use super::rules::Rules;
use super::shards::{Apart, Part, Shards};
use crate::sync::{AtomicU64, Ordering};

/// Buckets of the ring; a window has at most as many.
pub(crate) const BUCKETS_MAX: u64 = 16;
const COUNT_BITS: u32 = 30;
const SLOT_BITS: u32 = 26;
/// Where a bucket stops counting.
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

#[derive(Debug, Default)]
struct Ring([AtomicU64; BUCKETS_MAX as usize]);

#[derive(Debug, Default)]
pub(crate) struct Window {
    good: Shards<Ring>,
    failures: Apart<Ring>,
    slow: Apart<Ring>,
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
    /// Adds one, whoever else does.
    #[cold]
    fn add(&self, generation: u64, slot: u64) {
        let Some(cell) = self.cell(slot) else { return };
        let first = first_of(generation, slot);
        let mut seen = cell.load(Ordering::Relaxed);
        while let Some(next) = after(seen, first) {
            match cell.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Adds one, for the only thread that does.
    #[inline]
    fn add_alone(&self, generation: u64, slot: u64) {
        let Some(cell) = self.cell(slot) else { return };
        if let Some(next) = after(cell.load(Ordering::Relaxed), first_of(generation, slot)) {
            cell.store(next, Ordering::Relaxed);
        }
    }

    /// Of 16 cells, by 4 bits: always there.
    #[inline]
    fn cell(&self, slot: u64) -> Option<&AtomicU64> {
        self.0.get((slot % BUCKETS_MAX) as usize)
    }

    fn sum(&self, generation: u64, slot: u64, buckets: u64) -> u64 {
        let oldest = slot.saturating_sub(buckets - 1);
        (oldest..=slot)
            .filter_map(|slot| {
                let count = self.cell(slot)?.load(Ordering::Relaxed);
                Some(count.wrapping_sub(first_of(generation, slot))).filter(|count| *count <= COUNT_MAX)
            })
            .sum()
    }
}

impl Window {
    /// Counts a good result.
    #[inline]
    pub(crate) fn good(&self, generation: u64, slot: u64) {
        match self.good.mine() {
            Part::Own(ring) => ring.add_alone(generation, slot),
            Part::Shared(ring) => ring.add(generation, slot),
        }
    }

    pub(crate) fn bad(&self, bad: Bad, generation: u64, slot: u64) {
        match bad {
            Bad::Failure => self.failures.0.add(generation, slot),
            Bad::Slow => self.slow.0.add(generation, slot),
        }
    }

    pub(crate) fn counts(&self, generation: u64, slot: u64, rules: &Rules) -> Counts {
        let sum = |ring: &Ring| ring.sum(generation, slot, rules.buckets);
        let (failures, slow) = (sum(&self.failures.0), sum(&self.slow.0));
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

/// A bucket with one more in it, which is its first if it was of another state or time; nothing if it is full.
#[inline]
fn after(seen: u64, first: u64) -> Option<u64> {
    match seen.wrapping_sub(first) {
        0..COUNT_MAX => Some(seen + 1),
        COUNT_MAX => None,
        _ => Some(first + 1),
    }
}
