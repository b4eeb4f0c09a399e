//! What can keep the lab from measuring.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be measured.
    #[error("{0}")]
    Options(String),
    /// A broker's address is none that a line can lead to.
    #[error(
        "the {role} role has the broker addresses {addresses:?}; the lab needs one, as in nats://127.0.0.1:4222: servers of a cluster \
         tell of each other, and what is encrypted names its server, so neither can be reached by a line that can be cut"
    )]
    Broker {
        /// Whose.
        role: &'static str,
        /// What its configuration says.
        addresses: Vec<String>,
    },
    /// No port is free, or no line can be made.
    #[error("failed to make a line")]
    Line(#[source] io::Error),
    /// A process could not be started, or asked to end.
    #[error("failed to run the {role} role; its log is {}", log.display())]
    Process {
        /// What it runs.
        role: &'static str,
        /// Where its log lines are.
        log: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A process ended while it was needed.
    #[error("the {role} role ended by itself; its log is {}", log.display())]
    Ended {
        /// What it ran.
        role: &'static str,
        /// Where its log lines are.
        log: PathBuf,
    },
    /// The platform did not get as far as it should.
    #[error("failed to {doing} within {within:?}; the logs are in {}", logs.display())]
    TooLate {
        /// What was waited for.
        doing: &'static str,
        /// How long.
        within: Duration,
        /// Where the logs of the processes are.
        logs: PathBuf,
        /// What was said last.
        #[source]
        source: Box<tonic::Status>,
    },
    /// A call that has no reason to fail was refused.
    #[error("failed to {doing}: {}", source.message())]
    Call {
        /// What was being done.
        doing: &'static str,
        /// What was said.
        #[source]
        source: Box<tonic::Status>,
    },
    /// The figures cannot be written as JSON.
    #[error("failed to write JSON")]
    Json(#[source] serde_json::Error),
}

impl Error {
    /// Makes a status say what was being done.
    pub(crate) fn call(doing: &'static str) -> impl FnOnce(tonic::Status) -> Self {
        move |status| Error::Call { doing, source: Box::new(status) }
    }
}
