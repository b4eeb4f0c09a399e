//! Why the log is not tailed although it should be.

use super::pgoutput::Malformed;
use pgwire_replication::PgWireError;
use std::time::Duration;

/// Something that keeps the log from being tailed.
#[derive(Debug)]
pub(super) enum Setback {
    /// It passes by itself; tried again at once.
    Cut(Cut),
    /// It lasts; the relay polls.
    Trouble(Trouble),
}

/// What becomes of a line now and then.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("the line to the log broke")]
    Line(#[from] PgWireError),
    #[error("the server ended the line to the log")]
    Ended,
    #[error("the log could not be opened within {0:?}")]
    NotOpened(Duration),
    #[error("the log has been silent for {0:?}")]
    Silent(Duration),
    #[error("another process still reads the slot")]
    InUse,
    #[error("the log could not be understood")]
    Malformed(#[from] Malformed),
    #[error("the slot could not be made ready")]
    Store(#[source] store::Error),
}

/// Why the relay falls back to polling.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the server keeps no logical log; its wal_level is not logical")]
    NoLog,
    #[error("the slot belongs to another database or is of another kind")]
    Foreign,
    #[error("the slot is gone")]
    Gone,
    #[error("the server has thrown away log that the slot had not read")]
    Lost,
    #[error("the slot keeps {retained_bytes} bytes of the log on the server's disk, more than {retained_bytes_max}")]
    Retained { retained_bytes: i64, retained_bytes_max: i64 },
    #[error("the publication is not as it should be")]
    Unpublished,
    #[error("the server refuses the slot")]
    Refused(#[source] store::Error),
    #[error("the line to the log broke again and again")]
    Broken(#[source] Cut),
}

impl Trouble {
    /// A name for the metric.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Trouble::NoLog => "no_log",
            Trouble::Foreign => "foreign",
            Trouble::Gone => "gone",
            Trouble::Lost => "lost",
            Trouble::Retained { .. } => "retained",
            Trouble::Unpublished => "unpublished",
            Trouble::Refused(_) => "refused",
            Trouble::Broken(_) => "broken",
        }
    }
}

impl From<Cut> for Setback {
    fn from(cut: Cut) -> Self {
        Setback::Cut(cut)
    }
}

impl From<Trouble> for Setback {
    fn from(trouble: Trouble) -> Self {
        Setback::Trouble(trouble)
    }
}

impl From<store::Error> for Setback {
    fn from(error: store::Error) -> Self {
        match error.is_transient() {
            true => Cut::Store(error).into(),
            false => Trouble::Refused(error).into(),
        }
    }
}
