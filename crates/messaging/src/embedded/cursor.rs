//! Where one consumer stands in its channel: pure bookkeeping, without the database.

#[cfg(test)]
mod tests;

use crate::Message;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// Messages read and not yet acknowledged, at most: 1,024 x ~1 KiB = 1 MiB per consumer.
const UNACKNOWLEDGED_MAX: usize = 1024;

/// Outlives the subscriptions of its consumer, so that a role can be stopped and started.
#[derive(Debug)]
pub(super) struct Cursor {
    channel: &'static str,
    consumer: &'static str,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug)]
struct State {
    subscribed: Option<Subscribed>,
    /// Everything up to here is acknowledged.
    floor: i64,
    /// The floor that the log remembers.
    written_floor: i64,
    /// Everything up to here was read from the log.
    read_to: i64,
    /// Whether the log may hold more than was read.
    may_have_more: bool,
    /// Read and not yet handed out, oldest first.
    ready: VecDeque<(i64, Arc<Message>)>,
    /// Handed out and not yet acknowledged.
    delivered: BTreeMap<i64, Arc<Message>>,
}

/// The one subscription there is. It belongs to the cursor, since a message may be acknowledged that an earlier subscription handed out.
#[derive(Debug)]
struct Subscribed {
    /// The channel's newest message when it started.
    end: i64,
    caught_up: watch::Sender<bool>,
}

/// What a subscription is to do next.
pub(super) enum Next {
    /// Hand this out.
    Deliver(i64, Arc<Message>),
    /// Read the log after this sequence.
    ReadAfter(i64),
    /// Wait for news.
    Wait,
}

impl Cursor {
    pub(super) fn at(channel: &'static str, consumer: &'static str, floor: i64) -> Self {
        let state = State {
            subscribed: None,
            floor,
            written_floor: floor,
            read_to: floor,
            may_have_more: true,
            ready: VecDeque::new(),
            delivered: BTreeMap::new(),
        };
        Cursor { channel, consumer, state: Mutex::new(state), news: Notify::new() }
    }

    pub(super) fn channel(&self) -> &'static str {
        self.channel
    }

    pub(super) fn consumer(&self) -> &'static str {
        self.consumer
    }

    /// Takes the consumer's one subscription, if it is free. The answer becomes true when everything up to `end` is acknowledged.
    pub(super) fn subscribe(&self, end: i64) -> Option<watch::Receiver<bool>> {
        let mut state = self.state();
        if state.subscribed.is_some() {
            return None;
        }
        let (caught_up, receiver) = watch::channel(state.floor >= end);
        state.subscribed = Some(Subscribed { end, caught_up });
        Some(receiver)
    }

    pub(super) fn unsubscribe(&self) {
        self.state().subscribed = None;
    }

    /// Says that the log has grown.
    pub(super) fn wake(&self) {
        self.state().may_have_more = true;
        self.news.notify_one();
    }

    /// Waits for a reason to ask [`Cursor::next`] again. Cancel safe: news is kept.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn next(&self) -> Next {
        let mut state = self.state();
        if let Some((sequence, message)) = state.ready.pop_front() {
            state.delivered.insert(sequence, message.clone());
            return Next::Deliver(sequence, message);
        }
        if state.may_have_more && state.delivered.len() < UNACKNOWLEDGED_MAX {
            // Before the read, so that what is published during it counts as news.
            state.may_have_more = false;
            return Next::ReadAfter(state.read_to);
        }
        Next::Wait
    }

    /// Takes what was read after `after`; nothing if somebody else has read on meanwhile.
    pub(super) fn take(&self, after: i64, messages: Vec<(i64, Message)>, is_full: bool) {
        let mut state = self.state();
        if state.read_to != after {
            return;
        }
        state.may_have_more |= is_full;
        for (sequence, message) in messages {
            state.read_to = sequence;
            // After a rewind it may still be out, and then it comes again by being dealt with.
            if !state.delivered.contains_key(&sequence) {
                state.ready.push_back((sequence, Arc::new(message)));
            }
        }
    }

    /// Begins again with everything that is kept.
    pub(super) fn rewind(&self) {
        let mut state = self.state();
        state.floor = 0;
        state.written_floor = 0;
        state.read_to = 0;
        state.ready.clear();
        state.may_have_more = true;
        self.news.notify_one();
    }

    /// How many messages were read and not acknowledged, and up to where the log was read.
    pub(super) fn held(&self) -> (u64, i64) {
        let state = self.state();
        ((state.ready.len() + state.delivered.len()) as u64, state.read_to)
    }

    /// Notes that a read did not happen.
    pub(super) fn read_failed(&self) {
        self.state().may_have_more = true;
    }

    /// Notes an acknowledgement.
    pub(super) fn acknowledge(&self, sequence: i64) {
        let mut state = self.state();
        state.delivered.remove(&sequence);
        let was_written = state.floor == state.written_floor;
        let delivered = state.delivered.keys().next().copied();
        let ready = state.ready.front().map(|(sequence, _)| *sequence);
        let oldest = delivered.into_iter().chain(ready).min();
        state.floor = oldest.map_or(state.read_to, |oldest| oldest - 1);
        let is_first_unwritten = was_written && state.floor != state.written_floor;
        if is_first_unwritten || state.may_have_more {
            self.news.notify_one();
        }
        if let Some(Subscribed { end, caught_up }) = &state.subscribed
            && state.floor >= *end
        {
            caught_up.send_if_modified(|caught_up| !std::mem::replace(caught_up, true));
        }
    }

    /// Takes a message back, to be delivered again before all that is younger.
    pub(super) fn give_back(&self, sequence: i64) {
        let mut state = self.state();
        if let Some(message) = state.delivered.remove(&sequence) {
            let place = state.ready.partition_point(|(other, _)| *other < sequence);
            state.ready.insert(place, (sequence, message));
            self.news.notify_one();
        }
    }

    /// The floor, if the log does not remember it yet.
    pub(super) fn unwritten_floor(&self) -> Option<i64> {
        let state = self.state();
        (state.floor != state.written_floor).then_some(state.floor)
    }

    /// Notes what the log remembers now.
    pub(super) fn floor_written(&self, floor: i64) {
        let mut state = self.state();
        state.written_floor = floor;
        if state.floor != floor {
            self.news.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
