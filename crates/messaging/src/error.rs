//! What can go wrong with a bus.

/// Why a bus did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not all messages were stored.
    #[error("failed to publish; only the first {acknowledged} messages are stored for certain")]
    Publish {
        /// How many of the first messages are stored.
        acknowledged: usize,
        /// Why not more.
        #[source]
        source: store::Error,
    },
    /// The channels cannot be read.
    #[error("failed to read channel {channel}")]
    Read {
        /// The channel.
        channel: String,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// The channels cannot be set up.
    #[error("failed to set up the channels")]
    SetUp(#[source] store::Error),
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
