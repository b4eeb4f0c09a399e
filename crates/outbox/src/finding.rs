//! Something that is wrong, and what helps.

use serde::Serialize;
use std::time::Duration;

/// What can be wrong, the deepest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The database does not answer.
    DatabaseUnreachable,
    /// Its disk is full.
    DiskFull,
    /// It takes no writes.
    DatabaseReadOnly,
    /// It answers with errors.
    DatabaseFailing,
    /// The broker is not connected.
    BrokerUnreachable,
    /// The broker is connected and does not do what it is asked for.
    BrokerRefuses,
    /// The relay is paused.
    RelayPaused,
    /// No relay holds the lane.
    NoRelay,
    /// A log slot has lost what was not read.
    SlotLost,
    /// A log slot keeps more and more.
    SlotStuck,
    /// A transaction is open for long.
    OldTransaction,
    /// The relay does not keep up.
    RelayBehind,
    /// Nobody handles what a channel holds.
    ConsumerStopped,
    /// A consumer does not keep up.
    ConsumerBehind,
    /// Messages are parked.
    Parked,
    /// Another service does not reply.
    RepliesOverdue,
    /// A source did not say.
    NotKnown,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub cause: Cause,
    /// The service; empty: what all of them share.
    pub service: String,
    /// The channel, consumer or slot; empty: the service as a whole.
    pub subject: String,
    /// The role that would have to run; empty: none in particular.
    pub role: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// Why that may be.
    pub likely: String,
    /// What helps.
    pub remedy: String,
    /// Messages, keys or bytes that it is about; 0: nothing that is counted.
    pub count: i64,
    /// For how long, if that is known.
    pub since: Option<Duration>,
}

/// A finding of which the sentences are not written yet; each step writes one, so none is forgotten.
pub(crate) struct Draft(Finding);
/// It says what is wrong.
pub(crate) struct Said(Finding);
/// It says why, too.
pub(crate) struct Argued(Finding);

pub(crate) fn finding(cause: Cause, service: &str) -> Draft {
    Draft(Finding {
        cause,
        service: service.to_owned(),
        subject: String::new(),
        role: String::new(),
        what: String::new(),
        likely: String::new(),
        remedy: String::new(),
        count: 0,
        since: None,
    })
}

impl Draft {
    pub(crate) fn subject(self, subject: &str) -> Self {
        Draft(Finding { subject: subject.to_owned(), ..self.0 })
    }

    pub(crate) fn role(self, role: &str) -> Self {
        Draft(Finding { role: role.to_owned(), ..self.0 })
    }

    pub(crate) fn count(self, count: i64) -> Self {
        Draft(Finding { count, ..self.0 })
    }

    pub(crate) fn since(self, since: Option<Duration>) -> Self {
        Draft(Finding { since, ..self.0 })
    }

    pub(crate) fn what(self, what: impl Into<String>) -> Said {
        Said(Finding { what: what.into(), ..self.0 })
    }
}

impl Said {
    pub(crate) fn likely(self, likely: impl Into<String>) -> Argued {
        Argued(Finding { likely: likely.into(), ..self.0 })
    }
}

impl Argued {
    pub(crate) fn remedy(self, remedy: impl Into<String>) -> Finding {
        Finding { remedy: remedy.into(), ..self.0 }
    }
}
