//! Why the gateway could not start.

use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// A file of the port's certificate cannot be used.
    #[error("failed to use {} for TLS", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting that cannot be kept.
    #[error("failed to use the setting gateway.{name}: {reason}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The system has no threads or no timers left.
    #[error("failed to start the threads of the gateway")]
    Threads(#[source] std::io::Error),
    /// The access log cannot be written.
    #[error("failed to open the access log")]
    AccessLog(#[source] std::io::Error),
    /// The contract's HTTP rules cannot be served.
    #[error("failed to make routes of the contract")]
    Contract(#[source] transcode::Error),
    /// A descriptor file that the configuration names cannot be used.
    #[error("failed to use the descriptors of the service {service}, {}", path.display())]
    Descriptors {
        /// The service.
        service: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It has ended, or is about to.
    #[error("the gateway has ended")]
    Ended,
    /// The settings by which foreign services are called are not valid.
    #[error("failed to call foreign services")]
    Client(#[source] breaker::Error),
}
