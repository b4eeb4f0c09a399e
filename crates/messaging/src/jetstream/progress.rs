//! How far a consumer is: what came, what still has to, and what only comes again.

use super::manager::{Consumer, Stream};
use std::time::Duration;
use tokio::time::Instant;

/// How long what comes again after an interruption is gathered: a burst, which the broker may have shuffled.
const GATHERED_WITHIN: Duration = Duration::from_millis(100);

/// Within one life of a consumer.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The newest sequence that came.
    read_to: u64,
    /// What was there at the time of the subscription ends here; `None` until the broker was asked.
    end: Option<u64>,
    /// Whether nobody else holds anything up to there.
    is_all_here: bool,
    gathering: Option<Gathering>,
}

/// Nothing is handed out until what others gave back has come, or some time has passed: others may as well hold it.
#[derive(Debug, Clone, Copy)]
struct Gathering {
    missing: usize,
    /// What comes again is not younger than this.
    newest: u64,
    until: Instant,
}

impl Progress {
    /// Notes that a subscription begins.
    pub(super) fn begin(&mut self) {
        self.end = None;
    }

    /// Notes where the consumer stands at the beginning of a subscription or after an interruption; `held_before` and `held` is what was
    /// held here when the broker was asked, and now.
    pub(super) fn bind(&mut self, stream: &Stream, consumer: &Consumer, held_before: usize, held: usize) {
        let newest = consumer.delivered.sequence;
        self.read_to = self.read_to.max(newest);
        self.is_all_here = consumer.held == 0 || (held == held_before && consumer.held <= held);
        self.end.get_or_insert(if consumer.waiting == 0 { newest } else { stream.state.last_sequence });
        let missing = consumer.held.saturating_sub(held);
        let gathering = Gathering { missing, newest, until: Instant::now() + GATHERED_WITHIN };
        self.gathering = Some(gathering).filter(|gathering| gathering.missing > 0);
    }

    /// Notes where the consumer stands later on.
    pub(super) fn look(&mut self, consumer: &Consumer) {
        let is_done = consumer.waiting == 0 && consumer.held == 0;
        if is_done || self.end.is_some_and(|end| consumer.ack_floor.sequence >= end) {
            self.is_all_here = true;
            self.read_to = self.read_to.max(self.end.unwrap_or_default());
        }
    }

    /// Notes that a message came that was not held.
    pub(super) fn came(&mut self, sequence: u64) {
        self.read_to = self.read_to.max(sequence);
        if let Some(gathering) = &mut self.gathering
            && sequence <= gathering.newest
        {
            gathering.missing -= 1;
            self.gathering = self.gathering.filter(|gathering| gathering.missing > 0);
        }
    }

    /// Until when nothing is to be handed out.
    pub(super) fn gathers_until(&self) -> Option<Instant> {
        self.gathering.map(|gathering| gathering.until).filter(|until| Instant::now() < *until)
    }

    /// Whether everything is dealt with that was there at the time of the subscription, if the oldest message held is this one.
    pub(super) fn is_caught_up(&self, oldest_held: Option<u64>) -> bool {
        let is_past = |end| self.read_to >= end && oldest_held.is_none_or(|oldest| oldest > end);
        self.is_all_here && self.end.is_some_and(is_past)
    }
}
