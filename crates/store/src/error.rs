//! What can go wrong with a store.

use std::path::PathBuf;

pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("failed to open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The database's complaint.
        #[source]
        source: Source,
    },
    /// The database server cannot be used.
    #[error("failed to connect to {to}")]
    Connect {
        /// The database, without secrets.
        to: String,
        /// Whether it may work later: the server is away, or still starting.
        is_transient: bool,
        /// The complaint.
        #[source]
        source: Source,
    },
    /// A setting of the connection is wrong.
    #[error("{setting} {problem}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What is wrong with it, and what helps.
        problem: String,
    },
    /// The server does not keep what it acknowledges, so no order could be promised on it.
    #[error("the database server runs with {setting}={value}, which can lose what it has acknowledged; set it to on")]
    Forgetful {
        /// Which of its settings.
        setting: &'static str,
        /// What it is set to.
        value: String,
    },
    /// The SQLite in this program can corrupt a database in WAL mode (fixed in 3.51.3).
    #[error("SQLite {version} is older than 3.51.3 and can corrupt its log")]
    Corrupting {
        /// The version that was found.
        version: &'static str,
    },
    /// A step of a schema's growth failed.
    #[error("failed to apply migration {version} of {component}")]
    Migrate {
        /// Whose schema.
        component: &'static str,
        /// The step.
        version: u32,
        /// The database's complaint.
        #[source]
        source: Source,
    },
    /// An expectation of the change was not met. Nothing was written.
    #[error("somebody else was faster: {what}")]
    Conflict {
        /// What was expected.
        what: &'static str,
    },
    /// A statement failed. Nothing was written.
    #[error("failed to run {sql:?}")]
    Statement {
        /// The statement.
        sql: &'static str,
        /// Whether it may work later: the disk is full, the file is locked.
        is_transient: bool,
        /// The database's complaint.
        #[source]
        source: Source,
    },
    /// The transaction could not be made durable. Nothing was written.
    #[error("failed to commit")]
    Commit(#[source] Source),
    /// The outcome of the commit is not known, even after asking for it. It may have been written: look before doing it again.
    #[error("the outcome of the commit is not known")]
    Unknown,
    /// A row is not as the program expects it.
    #[error("column {column} is not {expected}")]
    Column {
        /// From 0.
        column: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// The store takes no more changes: it was closed, or opened for reading only.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Whether the same request may succeed later, unchanged.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Statement { is_transient, .. } | Error::Connect { is_transient, .. } => *is_transient,
            Error::Commit(_) | Error::Unknown | Error::Closed => true,
            Error::Open { .. }
            | Error::Setting { .. }
            | Error::Forgetful { .. }
            | Error::Corrupting { .. }
            | Error::Migrate { .. }
            | Error::Conflict { .. }
            | Error::Column { .. } => false,
        }
    }
}
