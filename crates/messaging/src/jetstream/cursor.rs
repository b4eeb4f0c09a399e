//! What this process holds of one consumer's messages, and what it knows of the rest.

use super::holdings::Holdings;
pub(super) use super::holdings::Place;
use super::layout::UNACKNOWLEDGED_MAX;
use super::line::Line;
use super::manager::{Consumer, Stream};
use super::progress::Progress;
use super::voice::{Verdict, Voice};
use crate::Message;
use async_nats::Subject;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout_at;

/// Messages asked for before anybody wants them. A process that is killed keeps them from others for a while, so not more.
const READY_MAX: usize = 256;

/// The payloads that are held, at most, before more is asked for.
pub(super) const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Outlives the subscriptions of its consumer: a message may be held that an earlier one handed out.
#[derive(Debug)]
pub(super) struct Cursor {
    state: Mutex<State>,
    news: Notify,
    room: Notify,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    subscribed: Option<watch::Sender<bool>>,
    life: u64,
    /// When the broker made the consumer: the mark of its life.
    created: Option<String>,
    progress: Progress,
    holdings: Holdings,
    voice: Voice,
}

impl Cursor {
    pub(super) fn new(line: Line) -> Self {
        let state = State {
            subscribed: None,
            life: 0,
            created: None,
            progress: Progress::default(),
            holdings: Holdings::default(),
            voice: Voice::new(line),
        };
        Cursor { state: Mutex::new(state), news: Notify::new(), room: Notify::new(), turn: tokio::sync::Mutex::new(()) }
    }

    /// Takes the consumer's one subscription, if it is free.
    pub(super) fn subscribe(&self) -> Option<watch::Receiver<bool>> {
        let mut state = self.state();
        if state.subscribed.is_some() {
            return None;
        }
        let (caught_up, receiver) = watch::channel(false);
        state.subscribed = Some(caught_up);
        state.progress.begin();
        Some(receiver)
    }

    /// Gives the subscription back.
    pub(super) fn unsubscribe(&self) {
        self.state().subscribed = None;
    }

    /// Lets one pump at a time fill this cursor, so that the last messages of one come before the first ones of the next.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Gives to the broker what nobody holds, oldest first, unless somebody is subscribed again.
    pub(super) fn release(&self) {
        let mut state = self.state();
        if state.subscribed.is_none() {
            for (place, reply) in state.holdings.take_ready() {
                state.say(place, reply, Verdict::Again);
            }
        }
    }

    /// How many messages of this life are held here.
    pub(super) fn held(&self) -> usize {
        self.state().held()
    }

    /// Where the last acknowledgement went, to ask whether it arrived.
    pub(super) fn last_acknowledged(&self) -> Option<Subject> {
        self.state().voice.last_acknowledged()
    }

    /// Notes where the consumer stands at the beginning of a subscription or after an interruption; `held_before` is what was held here
    /// when the broker was asked.
    pub(super) fn bind(&self, stream: &Stream, consumer: &Consumer, held_before: usize) {
        let mut state = self.state();
        if state.created.as_ref() != Some(&consumer.created) {
            state.begin_anew(consumer.created.clone());
        }
        let held = state.held();
        state.progress.bind(stream, consumer, held_before, held);
        state.voice.catch_up();
        state.note_caught_up();
    }

    /// Whether the broker has to be asked to know that the subscription is caught up.
    pub(super) fn is_behind(&self) -> bool {
        self.state().subscribed.as_ref().is_some_and(|caught_up| !*caught_up.borrow())
    }

    /// Notes where the consumer stands later on.
    pub(super) fn look(&self, consumer: &Consumer) {
        let mut state = self.state();
        if state.created.as_ref() == Some(&consumer.created) {
            state.progress.look(consumer);
            state.note_caught_up();
        }
    }

    /// How many messages may be asked for beside `asked`.
    pub(super) fn room(&self, asked: usize) -> usize {
        let state = self.state();
        if state.holdings.bytes() >= HELD_BYTES_MAX {
            return 0;
        }
        let all = UNACKNOWLEDGED_MAX.saturating_sub(state.holdings.len() + asked);
        all.min(READY_MAX.saturating_sub(state.holdings.ready() + asked))
    }

    /// Waits until there is more room. Cancel safe: the news is kept.
    pub(super) async fn more_room(&self) {
        self.room.notified().await;
    }

    /// Takes a message that came.
    pub(super) fn take(&self, sequence: u64, message: Message, reply: Subject) {
        let mut state = self.state();
        let place = Place { life: state.life, sequence };
        if state.holdings.add(place, message, reply) {
            state.progress.came(sequence);
            self.news.notify_one();
        }
    }

    /// Hands out the oldest message that nobody holds.
    pub(super) fn next(&self) -> Option<(Place, Arc<Message>)> {
        let mut state = self.state();
        if state.progress.gathers_until().is_some() {
            return None;
        }
        let next = state.holdings.hand_out()?;
        drop(state);
        self.room.notify_one();
        Some(next)
    }

    /// Waits for a reason to ask [`Cursor::next`] again. Cancel safe: the news is kept.
    pub(super) async fn news(&self) {
        let gathers_until = self.state().progress.gathers_until();
        match gathers_until {
            Some(until) => drop(timeout_at(until, self.news.notified()).await),
            None => self.news.notified().await,
        }
    }

    pub(super) fn acknowledge(&self, place: Place) {
        let mut state = self.state();
        let Some(reply) = state.holdings.remove(place) else { return };
        state.say(place, reply, Verdict::Acknowledged);
        state.note_caught_up();
        drop(state);
        self.room.notify_one();
    }

    /// Takes a message back, to be handed out again before all that is younger, or by the broker if nobody is subscribed here.
    pub(super) fn give_back(&self, place: Place) {
        let mut state = self.state();
        if state.subscribed.is_some() {
            state.holdings.put_back(place);
            self.news.notify_one();
        } else if let Some(reply) = state.holdings.remove(place) {
            state.say(place, reply, Verdict::Again);
        }
    }

    /// Tells the broker of messages it has not heard of for `silence` that they are still held, and what it was not told before.
    pub(super) fn report(&self, silence: Duration) {
        let mut state = self.state();
        let State { life, holdings, voice, .. } = &mut *state;
        voice.catch_up();
        holdings.remind(*life, silence, |reply| voice.try_say(reply, Verdict::InProgress));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins another life. What is kept comes again in order, and so what was not handed out must not come before it.
    fn begin_anew(&mut self, created: String) {
        self.life += 1;
        self.created = Some(created);
        self.progress = Progress::default();
        self.voice.forget();
        drop(self.holdings.take_ready());
    }

    fn held(&self) -> usize {
        self.holdings.of_life(self.life)
    }

    /// About a message of an earlier life there is nothing to be said.
    fn say(&mut self, place: Place, reply: Subject, verdict: Verdict) {
        if place.life == self.life {
            self.voice.say(reply, verdict);
        }
    }

    fn note_caught_up(&self) {
        let oldest = self.holdings.oldest().map(|it| if it.life == self.life { it.sequence } else { 0 });
        if let Some(caught_up) = &self.subscribed
            && self.progress.is_caught_up(oldest)
        {
            caught_up.send_if_modified(|caught_up| !std::mem::replace(caught_up, true));
        }
    }
}
