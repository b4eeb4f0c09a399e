//! Changes of state, all under one lock: trips, probes, recovery, and what an operator forces.

use super::backoff::Backoff;
use super::probes::Probes;
use super::state::{Event, Forced, Outcome, Reason};
use super::word::Word;
use super::{Answer, Kind, Machine};
use crate::sync::{self, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Events that wait for one listener at most: more than a minute of changes with the shortest sensible open time.
const EVENTS_MAX: usize = 256;
/// Listeners at most: a page, a log, metrics and a balancer, with room. The oldest goes.
const LISTENERS_MAX: usize = 16;

/// What only changes under the lock.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) probes: Probes,
    pub(super) backoff: Backoff,
    /// When the state changed last.
    pub(super) since_ms: u64,
    listeners: Vec<SyncSender<Event>>,
}

impl Changes {
    pub(super) fn new(seed: u64, now_ms: u64) -> Self {
        let (probes, backoff) = (Probes::default(), Backoff::new(seed));
        Changes { probes, backoff, since_ms: now_ms, listeners: Vec::new() }
    }

    pub(super) fn subscribe(&mut self) -> Receiver<Event> {
        let (sender, receiver) = sync_channel(EVENTS_MAX);
        if self.listeners.len() >= LISTENERS_MAX {
            self.listeners.remove(0);
        }
        self.listeners.push(sender);
        receiver
    }

    /// Never waits: an event that a listener has no room for is lost to it, which the generation shows.
    fn tell(&mut self, event: Event) {
        self.listeners.retain(|listener| match listener.try_send(event) {
            Ok(()) | Err(TrySendError::Full(_)) => true,
            Err(TrySendError::Disconnected(_)) => false,
        });
    }
}

impl Machine {
    /// Opens at once, unless it is open or forced.
    pub(crate) fn trip(&self, reason: Reason, now_ms: u64) {
        let word = self.word();
        match word.kind() {
            Kind::Closed | Kind::HalfOpen => self.open(word, reason, now_ms),
            Kind::Open | Kind::ForcedOpen | Kind::ForcedClosed => {}
        }
    }

    /// Takes it out of the automatic, or gives it back. Given back it is closed, with its ramp before it if it was open.
    pub(crate) fn force(&self, forced: Option<Forced>, now_ms: u64) {
        let mut changes = sync::lock(&self.changes);
        let kind = self.word().kind();
        let to = match (forced, kind) {
            (Some(Forced::Open), _) => Kind::ForcedOpen,
            (Some(Forced::Closed), _) => Kind::ForcedClosed,
            (None, Kind::ForcedOpen | Kind::ForcedClosed) => Kind::Closed,
            (None, Kind::Closed | Kind::Open | Kind::HalfOpen) => return,
        };
        if to == kind {
            return;
        }
        let ramp_from_ms = if to == Kind::Closed && kind == Kind::ForcedOpen { now_ms.max(1) } else { 0 };
        self.hot.ramp_from_ms.store(ramp_from_ms, Ordering::Relaxed);
        self.change(&mut changes, Change { to, reason: Reason::Operator, open_ms: 0 }, now_ms);
    }

    /// Decides about a call for which the word alone is not enough.
    #[cold]
    pub(super) fn decide_guarded(&self, now_ms: u64) -> Answer {
        let mut changes = sync::lock(&self.changes);
        let mut word = self.word();
        if word.kind() == Kind::Open && word.rest_ms(now_ms, self.rules.open_max_ms) == 0 {
            changes.probes.restart();
            let half_open = Change { to: Kind::HalfOpen, reason: Reason::OpenTimeOver, open_ms: 0 };
            word = self.change(&mut changes, half_open, now_ms);
        }
        match word.kind() {
            Kind::Closed | Kind::ForcedClosed => Answer::admitted(word),
            Kind::HalfOpen => match changes.probes.lease(now_ms, &self.rules) {
                Ok(lease) => Answer::leased(word, lease),
                Err(rest_ms) => self.refuse(word, rest_ms),
            },
            Kind::Open => self.refuse(word, word.rest_ms(now_ms, self.rules.open_max_ms)),
            Kind::ForcedOpen => self.refuse(word, self.rules.open_ms),
        }
    }

    /// Lets a probe decide, if its lease has not run out.
    #[cold]
    pub(super) fn record_probe(&self, word: Word, lease: u64, outcome: Outcome, now_ms: u64) {
        let mut changes = sync::lock(&self.changes);
        if self.word() != word || !changes.probes.end(lease, now_ms) {
            return;
        }
        match outcome {
            Outcome::Ignored => {}
            Outcome::Success => {
                if changes.probes.answered_well(&self.rules) {
                    if let Some(policy) = &self.policy {
                        sync::lock(policy).recovered();
                    }
                    self.hot.ramp_from_ms.store(now_ms.max(1), Ordering::Relaxed);
                    let closed = Change { to: Kind::Closed, reason: Reason::Recovered, open_ms: 0 };
                    self.change(&mut changes, closed, now_ms);
                }
            }
            Outcome::Failure | Outcome::Slow | Outcome::Pushback => {
                let by_policy = self.policy.as_ref().and_then(|policy| sync::lock(policy).failed());
                let open_ms = by_policy.map_or_else(|| changes.backoff.next_ms(0, &self.rules), |it| self.bounded(it));
                let open = Change { to: Kind::Open, reason: Reason::ProbeFailed, open_ms };
                self.change(&mut changes, open, now_ms);
            }
        }
    }

    /// Opens for as long as the backoff says, if the state is still the one that was judged.
    #[cold]
    pub(super) fn open(&self, judged: Word, reason: Reason, now_ms: u64) {
        let mut changes = sync::lock(&self.changes);
        if self.word() != judged {
            return;
        }
        let healthy_ms = match judged.kind() {
            Kind::Closed => now_ms.saturating_sub(changes.since_ms),
            Kind::Open | Kind::HalfOpen | Kind::ForcedOpen | Kind::ForcedClosed => 0,
        };
        let open_ms = changes.backoff.next_ms(healthy_ms, &self.rules);
        self.change(&mut changes, Change { to: Kind::Open, reason, open_ms }, now_ms);
    }

    /// Opens for as long as a policy says.
    #[cold]
    pub(super) fn open_for(&self, judged: Word, reason: Reason, open_for: Duration, now_ms: u64) {
        let mut changes = sync::lock(&self.changes);
        if self.word() == judged {
            let open_ms = self.bounded(open_for);
            self.change(&mut changes, Change { to: Kind::Open, reason, open_ms }, now_ms);
        }
    }

    /// At least a millisecond, or it would not be open; at most what is configured.
    fn bounded(&self, open_for: Duration) -> u64 {
        u64::try_from(open_for.as_millis()).unwrap_or(u64::MAX).clamp(1, self.rules.open_max_ms)
    }

    /// The one place where the word is written; whoever calls it holds the lock.
    fn change(&self, changes: &mut Changes, change: Change, now_ms: u64) -> Word {
        let Change { to, reason, open_ms } = change;
        let from = self.word();
        let until_ms = if to == Kind::Open { now_ms.saturating_add(open_ms) } else { 0 };
        let word = from.next(to, reason, until_ms);
        changes.since_ms = now_ms;
        self.begin_run(word);
        self.hot.word.store(word.0, Ordering::Release);
        let open_for = (to == Kind::Open).then(|| Duration::from_millis(open_ms));
        changes.tell(Event { from: from.kind(), to, reason, generation: word.generation(), open_for });
        word
    }
}

/// A change of state that is due.
#[derive(Debug, Clone, Copy)]
struct Change {
    to: Kind,
    reason: Reason,
    /// 0 unless it opens.
    open_ms: u64,
}
