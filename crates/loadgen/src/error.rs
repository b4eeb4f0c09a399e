//! What can keep a run from being made.

use std::path::PathBuf;

/// Why a run could not be made; what went wrong with single orders is in its report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The menu cannot be brought in.
    #[error("failed to bring in the menu")]
    Import(#[from] import::Error),
    /// A file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("failed to write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The first line does not name the columns of orders.
    #[error("{} begins with the columns `{found}`; expected `{expected}`, in any order", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The columns that it has.
        found: String,
        /// The columns that it must have.
        expected: String,
    },
    /// Orders name items and no restaurant, so there can be one menu only.
    #[error("{} has {count} restaurants; a replay needs one", path.display())]
    SeveralRestaurants {
        /// The file.
        path: PathBuf,
        /// How many it has.
        count: usize,
    },
    /// A call before or after the orders failed.
    #[error("failed to {doing}")]
    Call {
        /// What was being done.
        doing: &'static str,
        /// What the platform said.
        #[source]
        source: import::Answer,
    },
    /// The platform has nothing to order from, or nobody who orders.
    #[error("the platform has no {0}; start it with --sample-data or give ids")]
    Nothing(&'static str),
}
