//! What can keep a menu out of the platform.

use crate::record::BadLine;
use std::path::PathBuf;

/// Why nothing, or not everything, was imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is longer than a menu can be.
    #[error("{} is longer than {bytes_max} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// What is taken at most.
        bytes_max: u64,
    },
    /// The first line does not name the columns of a menu.
    #[error("{} begins with the columns `{found}`; expected {expected}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The columns that it has.
        found: String,
        /// The columns that it may have.
        expected: String,
    },
    /// No line of the file can be used.
    #[error("{} has no line that can be imported{}", path.display(), first_of(bad_lines))]
    NoGoodLine {
        /// The file.
        path: PathBuf,
        /// What is wrong with each line.
        bad_lines: Vec<BadLine>,
    },
    /// The file has no such restaurant.
    #[error("{} has no good line of restaurant {asked:?}; it has {}", path.display(), listed(existing))]
    NoSuchRestaurant {
        /// The file.
        path: PathBuf,
        /// The id that was asked for.
        asked: String,
        /// The ids that it has.
        existing: Vec<String>,
    },
    /// A restaurant was asked for by id, and the file does not know ids.
    #[error("{} has no column `restaurant_id`, so no restaurant can be chosen from it", path.display())]
    NoRestaurantIds {
        /// The file.
        path: PathBuf,
    },
    /// A restaurant cannot be called that.
    #[error("{name:?} is no name for a restaurant: it must have 1 to {chars_max} characters")]
    Name {
        /// The name.
        name: String,
        /// Characters at most.
        chars_max: usize,
    },
    /// The address of the platform cannot be used.
    #[error("{target:?} is no address of a platform: {problem}")]
    Target {
        /// The address.
        target: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The platform refused, or could not be reached for as long as was allowed.
    #[error(
        "failed to import {restaurant:?} after {attempts} attempts; {done} restaurants of this file were imported before it"
    )]
    Call {
        /// The restaurant.
        restaurant: String,
        /// How often it was tried.
        attempts: u32,
        /// How many came before it; importing the file again revises those.
        done: usize,
        /// What the platform said.
        #[source]
        source: Answer,
    },
}

/// What a call came to; told in one line, where `tonic::Status` tells its source and details too.
#[derive(Debug, thiserror::Error)]
#[error("{:?}, {}", .0.code(), .0.message())]
pub struct Answer(pub Box<tonic::Status>);

impl Error {
    /// The lines that cannot be used, when that is why.
    #[must_use]
    pub fn bad_lines(&self) -> &[BadLine] {
        match self {
            Error::NoGoodLine { bad_lines, .. } => bad_lines,
            Error::Read { .. }
            | Error::TooLong { .. }
            | Error::Header { .. }
            | Error::NoSuchRestaurant { .. }
            | Error::NoRestaurantIds { .. }
            | Error::Name { .. }
            | Error::Target { .. }
            | Error::Call { .. } => &[],
        }
    }
}

/// Ids that a message lists at most: one line of a terminal holds about twenty of four characters.
const LISTED_MAX: usize = 20;

fn listed(ids: &[String]) -> String {
    let shown = ids.iter().take(LISTED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(LISTED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn first_of(bad_lines: &[BadLine]) -> String {
    match bad_lines {
        [] => String::new(),
        [only] => format!(" ({only})"),
        [first, rest @ ..] => format!(" ({first}; and {} more)", rest.len()),
    }
}
