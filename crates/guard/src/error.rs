//! Why a guard cannot be made.

use std::path::PathBuf;

/// The cause of an error.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a guard cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting makes no sense.
    #[error("{setting} is not valid: {reason}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// A file cannot be read, or does not hold what it should.
    #[error("failed to read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Source,
    },
    /// Keys cannot be fetched.
    #[error("failed to fetch keys from {url}")]
    Fetch {
        /// Where they should be.
        url: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// Anybody could call everything from anywhere.
    #[error(
        "{address} can be reached by others, and nothing says who may call: name issuers, api_keys or certificates, or say access = \"open\""
    )]
    Open {
        /// Where the port is.
        address: std::net::SocketAddr,
    },
    /// The answers that are kept cannot be shared.
    #[error("failed to open the store of answers")]
    Store(#[source] Source),
}

impl Error {
    pub(crate) fn setting(setting: &'static str, reason: impl Into<String>) -> Self {
        Error::Setting { setting, reason: reason.into() }
    }
}
