//! Why the gateway could not start.

use std::net::SocketAddr;

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or the address is not of this machine.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Callers cannot be told apart, or everybody could call.
    #[error("failed to set up the guard")]
    Guard(#[source] guard::Error),
    /// The contract's HTTP rules cannot be served.
    #[error("failed to make routes of the contract")]
    Contract(#[source] transcode::Error),
    /// The contract's descriptors cannot be reflected.
    #[error("failed to make the reflection service")]
    Reflection(#[source] tonic_reflection::server::Error),
}
