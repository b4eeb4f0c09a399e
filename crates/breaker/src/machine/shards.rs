//! What every call writes, apart for each thread: two that write to one line of cache cost each other more than all else.
//!
//! A thread alone writes to a part of its own, so it adds by a load and a store. A locked instruction would cost twice as much as the rest
//! of a call, and make it wait for what it wrote before. Threads that came too late for a part of their own have one together.

use crate::sync;

#[derive(Debug)]
pub(crate) struct Shards<T> {
    own: Box<[Apart<T>]>,
    shared: Apart<T>,
}

/// Two lines of cache, since processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Debug, Default)]
pub(crate) struct Apart<T>(pub(crate) T);

/// Where a thread writes to.
#[derive(Debug)]
pub(crate) enum Part<'a, T> {
    /// Nobody else does.
    Own(&'a T),
    Shared(&'a T),
}

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Shards { own: (0..sync::shards()).map(|_| Apart::default()).collect(), shared: Apart::default() }
    }
}

impl<T> Shards<T> {
    /// The part of this thread.
    #[inline(always)]
    pub(crate) fn mine(&self) -> Part<'_, T> {
        match self.own.get(sync::shard()) {
            Some(own) => Part::Own(&own.0),
            None => self.mine_after_all(),
        }
    }

    /// That of a thread that has called nothing before, or has none of its own.
    #[cold]
    fn mine_after_all(&self) -> Part<'_, T> {
        match self.own.get(sync::deal()) {
            Some(own) => Part::Own(&own.0),
            None => Part::Shared(&self.shared.0),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.own.iter().chain([&self.shared]).map(|it| &it.0)
    }
}
