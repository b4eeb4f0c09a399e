//! What this process holds of one consumer's messages: bookkeeping, and what is to be said about each to the broker.

use crate::Message;
use async_nats::{Client, Subject};
use futures_util::FutureExt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::layout::UNACKNOWLEDGED_MAX;

/// Messages asked for before anybody wants them. A process that is killed keeps them from others for a while, so not more.
const READY_MAX: usize = 256;

const ACKNOWLEDGED: &str = "+ACK";
const AGAIN: &str = "-NAK";
const IN_PROGRESS: &str = "+WPI";

/// Where a message lies: in which life of the consumer, and at which sequence of its stream. A consumer that the broker lost begins anew,
/// and what is said about an old sequence must not be taken for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    life: u64,
    sequence: u64,
}

/// Outlives the subscriptions of its consumer: a message may be held that an earlier one handed out.
#[derive(Debug)]
pub(super) struct Cursor {
    client: Client,
    state: Mutex<State>,
    news: Notify,
    room: Notify,
}

#[derive(Debug)]
struct State {
    subscribed: Option<watch::Sender<bool>>,
    life: u64,
    /// When the broker made the consumer: the mark of its life.
    created_ns: Option<i128>,
    /// The newest sequence that came in this life.
    read_to: u64,
    /// What was there at the time of the subscription ends here; `None` until the broker was asked.
    end: Option<u64>,
    /// Whether nobody else holds anything of it.
    is_all_here: bool,
    /// Come and not yet handed out, oldest first.
    ready: BTreeMap<Place, Held>,
    /// Handed out and not yet acknowledged.
    delivered: BTreeMap<Place, Held>,
    /// What the line to the broker had no room for.
    unsaid: VecDeque<(Subject, &'static str)>,
    /// Where the last acknowledgement went.
    last_acknowledged: Option<Subject>,
}

#[derive(Debug)]
struct Held {
    message: Arc<Message>,
    reply: Subject,
    /// When the broker last heard of it.
    said: Instant,
}

/// What the broker says about a consumer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) created_ns: i128,
    /// The newest message of the channel.
    pub(super) end: u64,
    /// Up to where messages were handed to anybody.
    pub(super) delivered_to: u64,
    /// Up to where everything is acknowledged.
    pub(super) floor: u64,
    /// Messages not yet handed to anybody.
    pub(super) waiting: u64,
    /// Messages handed to somebody and not acknowledged.
    pub(super) held: usize,
}

impl Cursor {
    pub(super) fn new(client: Client) -> Self {
        let state = State {
            subscribed: None,
            life: 0,
            created_ns: None,
            read_to: 0,
            end: None,
            is_all_here: false,
            ready: BTreeMap::new(),
            delivered: BTreeMap::new(),
            unsaid: VecDeque::new(),
            last_acknowledged: None,
        };
        Cursor { client, state: Mutex::new(state), news: Notify::new(), room: Notify::new() }
    }

    /// Takes the consumer's one subscription, if it is free.
    pub(super) fn subscribe(&self) -> Option<watch::Receiver<bool>> {
        let mut state = self.state();
        if state.subscribed.is_some() {
            return None;
        }
        let (caught_up, receiver) = watch::channel(false);
        state.subscribed = Some(caught_up);
        state.end = None;
        Some(receiver)
    }

    /// Gives the subscription back, and to the broker what nobody holds, oldest first.
    pub(super) fn unsubscribe(&self) {
        let mut state = self.state();
        state.subscribed = None;
        let life = state.life;
        for (place, held) in std::mem::take(&mut state.ready) {
            if place.life == life {
                self.say(&mut state, held.reply, AGAIN);
            }
        }
    }

    /// How many messages are held here.
    pub(super) fn held(&self) -> usize {
        let state = self.state();
        state.ready.len() + state.delivered.len()
    }

    /// Where the last acknowledgement went, to ask whether it arrived.
    pub(super) fn last_acknowledged(&self) -> Option<Subject> {
        self.state().last_acknowledged.clone()
    }

    /// Notes where the consumer stands at the beginning of a subscription or after an interruption; `held_before` is what was held here
    /// when the broker was asked.
    pub(super) fn bind(&self, standing: Standing, held_before: usize) {
        let mut state = self.state();
        if state.created_ns != Some(standing.created_ns) {
            state.life += 1;
            state.created_ns = Some(standing.created_ns);
            state.read_to = 0;
            state.last_acknowledged = None;
            state.end = None;
            // It is about messages of the life before.
            state.unsaid.clear();
        }
        state.read_to = state.read_to.max(standing.delivered_to);
        let held = state.ready.len() + state.delivered.len();
        state.is_all_here = standing.held == 0 || (held == held_before && standing.held <= held);
        if state.end.is_none() {
            state.end = Some(if standing.waiting == 0 { standing.delivered_to } else { standing.end });
        }
        state.note_caught_up();
    }

    /// Whether the broker has to be asked to know that the subscription is caught up.
    pub(super) fn is_behind(&self) -> bool {
        self.state().subscribed.as_ref().is_some_and(|caught_up| !*caught_up.borrow())
    }

    /// Notes where the consumer stands later on.
    pub(super) fn look(&self, standing: Standing) {
        let mut state = self.state();
        let is_done = standing.waiting == 0 && standing.held == 0;
        if state.created_ns == Some(standing.created_ns)
            && (is_done || state.end.is_some_and(|end| standing.floor >= end))
        {
            state.is_all_here = true;
            state.read_to = state.read_to.max(state.end.unwrap_or_default());
            state.note_caught_up();
        }
    }

    /// How many messages may be asked for beside `asked`.
    pub(super) fn room(&self, asked: usize) -> usize {
        let state = self.state();
        let all = UNACKNOWLEDGED_MAX.saturating_sub(state.ready.len() + state.delivered.len() + asked);
        all.min(READY_MAX.saturating_sub(state.ready.len() + asked))
    }

    /// Waits until there is more room. Cancel safe: the news is kept.
    pub(super) async fn more_room(&self) {
        self.room.notified().await;
    }

    /// Takes a message that came. One that is held already is not held twice; one that came too late, after the end of the
    /// subscription, goes back.
    pub(super) fn take(&self, sequence: u64, message: Message, reply: Subject) {
        let mut state = self.state();
        let place = Place { life: state.life, sequence };
        let said = Instant::now();
        state.read_to = state.read_to.max(sequence);
        if let Some(held) = state.delivered.get_mut(&place) {
            (held.reply, held.said) = (reply, said);
        } else if let Some(held) = state.ready.get_mut(&place) {
            (held.reply, held.said) = (reply, said);
        } else if state.subscribed.is_some() {
            state.ready.insert(place, Held { message: Arc::new(message), reply, said });
            self.news.notify_one();
        } else {
            self.say(&mut state, reply, AGAIN);
        }
    }

    /// Hands out the oldest message that nobody holds.
    pub(super) fn next(&self) -> Option<(Place, Arc<Message>)> {
        let mut state = self.state();
        let (place, held) = state.ready.pop_first()?;
        let message = held.message.clone();
        state.delivered.insert(place, held);
        drop(state);
        self.room.notify_one();
        Some((place, message))
    }

    /// Waits for a reason to ask [`Cursor::next`] again. Cancel safe: the news is kept.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn acknowledge(&self, place: Place) {
        let mut state = self.state();
        let Some(held) = state.delivered.remove(&place) else { return };
        if place.life == state.life {
            state.last_acknowledged = Some(held.reply.clone());
            self.say(&mut state, held.reply, ACKNOWLEDGED);
        }
        state.note_caught_up();
        drop(state);
        self.room.notify_one();
    }

    /// Takes a message back, to be handed out again before all that is younger, or by the broker if nobody is subscribed here.
    pub(super) fn give_back(&self, place: Place) {
        let mut state = self.state();
        let Some(held) = state.delivered.remove(&place) else { return };
        if state.subscribed.is_some() {
            state.ready.insert(place, held);
            self.news.notify_one();
        } else if place.life == state.life {
            self.say(&mut state, held.reply, AGAIN);
        }
    }

    /// Tells the broker of messages it has not heard of for `silence` that they are still held, and what it was not told before.
    pub(super) fn report(&self, silence: Duration) {
        let mut state = self.state();
        let state = &mut *state;
        while let Some((subject, verdict)) = state.unsaid.pop_front() {
            if !self.try_say(&subject, verdict) {
                state.unsaid.push_front((subject, verdict));
                return;
            }
        }
        let now = Instant::now();
        let life = state.life;
        for (place, held) in state.ready.iter_mut().chain(&mut state.delivered) {
            if place.life == life && now.duration_since(held.said) >= silence {
                if !self.try_say(&held.reply, IN_PROGRESS) {
                    return;
                }
                held.said = now;
            }
        }
    }

    /// What finds no room is said later; there is never more of it than messages that may be held.
    fn say(&self, state: &mut State, subject: Subject, verdict: &'static str) {
        if !(state.unsaid.is_empty() && self.try_say(&subject, verdict)) {
            state.unsaid.push_back((subject, verdict));
            state.unsaid.truncate(UNACKNOWLEDGED_MAX);
        }
    }

    /// Gives a word to the line without waiting; false if that has no room.
    fn try_say(&self, subject: &Subject, verdict: &'static str) -> bool {
        match self.client.publish(subject.clone(), verdict.into()).now_or_never() {
            // A line that is closed for good hears nothing any more, so there is nothing to keep.
            Some(Ok(()) | Err(_)) => true,
            None => false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note_caught_up(&mut self) {
        let (Some(caught_up), Some(end)) = (&self.subscribed, self.end) else { return };
        let last = Place { life: self.life, sequence: end };
        let oldest = self.ready.keys().next().into_iter().chain(self.delivered.keys().next()).min();
        if self.is_all_here && self.read_to >= end && oldest.is_none_or(|oldest| *oldest > last) {
            caught_up.send_if_modified(|caught_up| !std::mem::replace(caught_up, true));
        }
    }
}
