//! Says to the broker what is to become of messages, without waiting.

use super::layout::UNACKNOWLEDGED_MAX;
use super::line::Line;
use async_nats::Subject;
use futures_util::FutureExt;
use std::collections::VecDeque;
use tokio::task::coop::unconstrained;

/// What is said about a message to where its acknowledgement goes (ADR-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is dealt with.
    Acknowledged,
    /// It is to come again.
    Again,
    /// It is still being dealt with.
    InProgress,
}

/// Verdicts on their way to the broker.
#[derive(Debug)]
pub(super) struct Voice {
    line: Line,
    /// What could not be said yet: there was no line, or no room on it.
    unsaid: VecDeque<(Subject, Verdict)>,
    /// Where the last acknowledgement went.
    last_acknowledged: Option<Subject>,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Verdict::Acknowledged => "+ACK",
            Verdict::Again => "-NAK",
            Verdict::InProgress => "+WPI",
        }
    }
}

impl Voice {
    pub(super) fn new(line: Line) -> Self {
        Voice { line, unsaid: VecDeque::new(), last_acknowledged: None }
    }

    /// Says it now or, if that is not possible, when [`Voice::catch_up`] is called. Of more than what may be held the youngest is dropped:
    /// its message comes again.
    pub(super) fn say(&mut self, subject: Subject, verdict: Verdict) {
        if verdict == Verdict::Acknowledged {
            self.last_acknowledged = Some(subject.clone());
        }
        if !(self.unsaid.is_empty() && self.try_say(&subject, verdict)) {
            self.unsaid.push_back((subject, verdict));
            self.unsaid.truncate(UNACKNOWLEDGED_MAX);
        }
    }

    /// Says what was not said yet, as far as possible.
    pub(super) fn catch_up(&mut self) {
        while let Some((subject, verdict)) = self.unsaid.pop_front() {
            if !self.try_say(&subject, verdict) {
                self.unsaid.push_front((subject, verdict));
                return;
            }
        }
    }

    /// Gives a word to the line without waiting; false if there is no line, or no room on it. What a line has taken that is lost then is
    /// lost as well.
    pub(super) fn try_say(&self, subject: &Subject, verdict: Verdict) -> bool {
        // A word that waits for a line could arrive in another life of the consumer, and be about another message.
        if !self.line.is_connected() {
            return false;
        }
        // However much this task has done in this turn, the only question is whether there is room.
        match unconstrained(self.line.client.publish(subject.clone(), verdict.word().into())).now_or_never() {
            // A line that is closed for good hears nothing any more, so there is nothing to keep.
            Some(Ok(()) | Err(_)) => true,
            None => false,
        }
    }

    /// Where the last acknowledgement went, to ask whether it arrived.
    pub(super) fn last_acknowledged(&self) -> Option<Subject> {
        self.last_acknowledged.clone()
    }

    /// Forgets what is about messages of a life that is over.
    pub(super) fn forget(&mut self) {
        self.unsaid.clear();
        self.last_acknowledged = None;
    }
}
