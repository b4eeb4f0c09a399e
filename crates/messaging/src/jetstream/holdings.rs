//! The messages that this process holds: ready, or handed out.

use crate::Message;
use async_nats::Subject;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where a message lies: in which life of the consumer, and at which sequence of its stream. A consumer that the broker lost begins anew,
/// and what is said about an old sequence must not be taken for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) life: u64,
    pub(super) sequence: u64,
}

#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// Come and not yet handed out, oldest first.
    ready: BTreeMap<Place, Held>,
    /// Handed out and not yet acknowledged.
    delivered: BTreeMap<Place, Held>,
    /// The payloads of both.
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    message: Arc<Message>,
    /// Where its acknowledgement goes.
    reply: Subject,
    /// When the broker last heard of it.
    said: Instant,
}

impl Holdings {
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.delivered.len()
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn of_life(&self, life: u64) -> usize {
        let first = Place { life, sequence: 0 };
        self.ready.range(first..).count() + self.delivered.range(first..).count()
    }

    pub(super) fn oldest(&self) -> Option<Place> {
        self.ready.keys().next().into_iter().chain(self.delivered.keys().next()).min().copied()
    }

    /// Adds a message. One that is held already is not held twice, and then the answer is false.
    pub(super) fn add(&mut self, place: Place, message: Message, reply: Subject) -> bool {
        let said = Instant::now();
        if let Some(held) = self.delivered.get_mut(&place).or_else(|| self.ready.get_mut(&place)) {
            (held.reply, held.said) = (reply, said);
            return false;
        }
        self.bytes += message.payload.len();
        self.ready.insert(place, Held { message: Arc::new(message), reply, said });
        true
    }

    /// Hands out the oldest message that is ready.
    pub(super) fn hand_out(&mut self) -> Option<(Place, Arc<Message>)> {
        let (place, held) = self.ready.pop_first()?;
        let message = held.message.clone();
        self.delivered.insert(place, held);
        Some((place, message))
    }

    /// Makes a message ready again that was handed out.
    pub(super) fn put_back(&mut self, place: Place) {
        if let Some(held) = self.delivered.remove(&place) {
            self.ready.insert(place, held);
        }
    }

    /// Lets go of a message that was handed out, and says where its acknowledgement goes.
    pub(super) fn remove(&mut self, place: Place) -> Option<Subject> {
        let held = self.delivered.remove(&place)?;
        self.bytes -= held.message.payload.len();
        Some(held.reply)
    }

    /// Lets go of all that is ready, oldest first.
    pub(super) fn take_ready(&mut self) -> impl Iterator<Item = (Place, Subject)> + use<> {
        let ready = std::mem::take(&mut self.ready);
        self.bytes -= ready.values().map(|held| held.message.payload.len()).sum::<usize>();
        ready.into_iter().map(|(place, held)| (place, held.reply))
    }

    /// Reminds the broker of messages of a life that it has not heard of for `silence`, until `remind` has no room.
    pub(super) fn remind(&mut self, life: u64, silence: Duration, remind: impl Fn(&Subject) -> bool) {
        let now = Instant::now();
        for (place, held) in self.ready.iter_mut().chain(&mut self.delivered) {
            if place.life == life && now.duration_since(held.said) >= silence {
                if !remind(&held.reply) {
                    return;
                }
                held.said = now;
            }
        }
    }
}
