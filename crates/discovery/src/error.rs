//! What can go wrong when endpoints are looked for, or one is registered.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What an error stands on, complaining.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why endpoints are not fresh, or an endpoint is not registered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting makes no sense.
    #[error("discovery's setting {field} is wrong: {reason}")]
    Settings {
        /// Which one.
        field: &'static str,
        /// Why, and what would be right.
        reason: String,
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
    /// An agent did not answer, or its answer did not arrive whole.
    #[error("failed to ask the Consul agent {agent}")]
    Unreachable {
        /// Its URL.
        agent: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// An agent did not answer in time.
    #[error("the Consul agent {agent} did not answer within {within:?}")]
    TimedOut {
        /// Its URL.
        agent: String,
        /// How long it was given.
        within: Duration,
    },
    /// An agent answered that it cannot.
    #[error("the Consul agent {agent} answered {status}: {text}")]
    Answered {
        /// Its URL.
        agent: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        text: String,
    },
    /// An agent answered that this program may not.
    #[error("the Consul agent {agent} refused access: {text}; look at token_file and at the policies of its token")]
    AccessDenied {
        /// Its URL.
        agent: String,
        /// The beginning of what it said.
        text: String,
    },
    /// An empty list that is empty because this program may not see the service.
    #[error(
        "Consul shows no member of {service}, and this program may not read it; look at token_file and at the policies of its token"
    )]
    AccessSuspected {
        /// The service.
        service: String,
    },
    /// An empty catalog that is empty because this program may not see it.
    #[error(
        "Consul shows no service at all, so none with the tag {tag}; this program may not read them: look at token_file and at the policies of its token"
    )]
    CatalogAccessSuspected {
        /// The tag that was looked for.
        tag: String,
    },
    /// An agent said something that is not understood.
    #[error("failed to understand the Consul agent {agent}")]
    Unreadable {
        /// Its URL.
        agent: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// A server answered that has not heard of its leader for too long.
    #[error("the Consul agent {agent} is {behind:?} behind its leader")]
    TooOld {
        /// The agent's URL.
        agent: String,
        /// How far.
        behind: Duration,
    },
    /// All that is known stands on the disk.
    #[error("these endpoints of {service} are from a snapshot on disk that is {age:?} old")]
    FromDisk {
        /// The service.
        service: String,
        /// How old it is.
        age: Duration,
    },
    /// DNS knows no such name, or no address of it.
    #[error("DNS knows no address of {name}")]
    NoSuchName {
        /// The name.
        name: String,
    },
    /// DNS did not answer.
    #[error("failed to look up {name}")]
    Lookup {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// Nobody could reach this address.
    #[error("{address} cannot be registered: {reason}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why, and what would be right.
        reason: &'static str,
    },
    /// The process to be registered does not serve yet.
    #[error("{address} is not registered, since it does not serve yet")]
    NotServing {
        /// Where it should.
        address: SocketAddr,
        /// What it did instead.
        #[source]
        source: Source,
    },
    /// The agent could not be told that an endpoint is gone.
    #[error("failed to deregister {id}; its check will tell")]
    NotDeregistered {
        /// The registration.
        id: String,
        /// Why.
        #[source]
        source: Arc<Error>,
    },
}

impl Error {
    /// Whether the same may succeed later, unchanged. What an operator has to mend is not transient, though it is tried again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. }
            | Error::TimedOut { .. }
            | Error::Answered { .. }
            | Error::Unreadable { .. }
            | Error::TooOld { .. }
            | Error::FromDisk { .. }
            | Error::NoSuchName { .. }
            | Error::Lookup { .. }
            | Error::NotServing { .. }
            | Error::NotDeregistered { .. } => true,
            Error::Settings { .. }
            | Error::File { .. }
            | Error::AccessDenied { .. }
            | Error::AccessSuspected { .. }
            | Error::CatalogAccessSuspected { .. }
            | Error::Address { .. } => false,
        }
    }
}

/// An error with all that it stands on, for a log line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}
