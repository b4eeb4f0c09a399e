//! What can go wrong with a bus.

use std::path::PathBuf;

/// What a bus stands on, complaining.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a bus did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not all messages were stored.
    #[error("failed to publish; only the first {acknowledged} messages are stored for certain")]
    Publish {
        /// How many of the first messages are stored.
        acknowledged: usize,
        /// Whether the others may be stored later, unchanged.
        is_transient: bool,
        /// Why not more.
        #[source]
        source: Source,
    },
    /// A channel cannot be read.
    #[error("failed to read channel {channel}")]
    Read {
        /// The channel.
        channel: String,
        /// Whether it may be read later.
        is_transient: bool,
        /// Why.
        #[source]
        source: Source,
    },
    /// The channels cannot be set up.
    #[error("failed to set up the channels")]
    SetUp {
        /// Whether it may work later.
        is_transient: bool,
        /// Why.
        #[source]
        source: Source,
    },
    /// A file that the settings name cannot be used.
    #[error("failed to read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Source,
    },
    /// The settings make no sense.
    #[error("the settings of the channels are wrong: {what}")]
    Settings {
        /// What is wrong, and what would be right.
        what: String,
    },
    /// There is no such channel, or it has no such consumer.
    #[error("channel {channel} has no consumer {consumer}")]
    UnknownConsumer {
        /// The channel.
        channel: String,
        /// The consumer.
        consumer: String,
    },
    /// A message names a channel that does not exist.
    #[error("there is no channel {channel}")]
    UnknownChannel {
        /// The channel.
        channel: String,
    },
    /// A consumer has one subscription at a time.
    #[error("consumer {consumer} of channel {channel} is subscribed already")]
    AlreadySubscribed {
        /// The channel.
        channel: String,
        /// The consumer.
        consumer: String,
    },
}

impl Error {
    /// Whether the same request may succeed later, unchanged.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Publish { is_transient, .. }
            | Error::Read { is_transient, .. }
            | Error::SetUp { is_transient, .. } => *is_transient,
            Error::AlreadySubscribed { .. } => true,
            Error::File { .. }
            | Error::Settings { .. }
            | Error::UnknownConsumer { .. }
            | Error::UnknownChannel { .. } => false,
        }
    }

    pub(crate) fn set_up(source: store::Error) -> Self {
        Error::SetUp { is_transient: source.is_transient(), source: source.into() }
    }

    pub(crate) fn read(channel: &str, source: store::Error) -> Self {
        Error::Read { channel: channel.to_owned(), is_transient: source.is_transient(), source: source.into() }
    }

    pub(crate) fn publish(source: store::Error) -> Self {
        Error::Publish { acknowledged: 0, is_transient: source.is_transient(), source: source.into() }
    }
}
