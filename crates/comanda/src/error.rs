//! What can go wrong on the command line.

use crate::Role;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No threads, no timers.
    #[error("failed to start the runtime")]
    Runtime(#[source] io::Error),
    /// The signal handlers were refused.
    #[error("failed to listen to signals")]
    Signals(#[source] io::Error),
    /// The settings are wrong.
    #[error("the configuration is not valid")]
    Config(#[source] Box<figment::Error>),
    /// The file of `--config` is not there.
    #[error("there is no configuration file {}", .0.display())]
    NoConfigFile(PathBuf),
    /// `roles` is empty.
    #[error("no role is to run; leave `roles` out to run all of them")]
    NoRoles,
    /// The public port would not be opened.
    #[error("the public port is not valid")]
    Port(#[source] gateway::Error),
    /// The gateway does not serve by other settings.
    #[error("the gateway cannot serve by these settings")]
    Reload(#[source] gateway::Error),
    /// A relay is to tail a log that is not there.
    #[error("{section} is not valid")]
    Publisher {
        /// The section of the settings.
        section: &'static str,
        /// Why.
        #[source]
        source: outbox::NoLog,
    },
    /// The settings cannot be printed.
    #[error("failed to print the configuration")]
    PrintConfig(#[source] toml::ser::Error),
    /// Logging could not be set up.
    #[error("failed to set up logging")]
    Log(#[from] telemetry::log::Error),
    /// The data directory cannot be made or used.
    #[error("failed to use the data directory {}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process uses the data directory.
    #[error("another process uses the data directory {}; stop it, or choose another one with --data-dir", .0.display())]
    Locked(PathBuf),
    /// A file of the data directory cannot be opened or read.
    #[error("failed to use the store of {role}")]
    Store {
        /// Whose it is.
        role: &'static str,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// `upstreams` names something that is no place.
    #[error(
        "upstreams.{role} is {place:?}, and must be an address such as http://127.0.0.1:7001, srv:NAME, or consul:SERVICE"
    )]
    Upstream {
        /// The service.
        role: Role,
        /// What was given.
        place: String,
    },
    /// A setting looks into Consul, and nothing says where that is.
    #[error("{setting} is to be found in Consul; say where its agents are, in [consul]")]
    NoConsul {
        /// What names it.
        setting: String,
    },
    /// `gateway.services` names something that is no place.
    #[error(
        "gateway.services.{name}.from is {place:?}, and must be an address such as http://127.0.0.1:50051, srv:NAME, or consul:SERVICE"
    )]
    Service {
        /// The service.
        name: String,
        /// What was given.
        place: String,
    },
    /// A gateway for foreign services only was asked for what the platform does.
    #[error("this process has no channels, since it only serves foreign services")]
    NoChannels,
    /// Services cannot be looked for, or this process cannot be found.
    #[error("failed to set up discovery")]
    Discovery(#[source] discovery::Error),
    /// The breakers cannot be made.
    #[error("client is not valid")]
    Client(#[source] breaker::Error),
    /// The channels cannot be opened.
    #[error("failed to open the channels")]
    Channels(#[source] messaging::Error),
    /// An address cannot be listened on.
    #[error("failed to listen on {address}; is another process using it?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A role did not start.
    #[error("failed to start the {role} role")]
    Start {
        /// The role.
        role: Role,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A running process did not do what it was asked for.
    #[error("failed to ask the process at {admin}: {}", source.message())]
    Admin {
        /// Where it is.
        admin: String,
        /// What it said.
        #[source]
        source: Box<tonic::Status>,
    },
    /// There is no running process.
    #[error("failed to reach {address}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// An argument is not valid.
    #[error("{0}")]
    Argument(String),
    /// An import failed.
    #[error("failed to import")]
    Import(#[source] Box<import::Error>),
    /// The lab has no figures.
    #[error("failed to measure")]
    Lab(#[source] Box<lab::Error>),
    /// This program does not know where it is.
    #[error("failed to find this program")]
    Program(#[source] io::Error),
    /// A file of results cannot be written.
    #[error("failed to write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The sample data could not be made.
    #[error("failed to make the sample data: {}", .0.message())]
    Sample(#[source] Box<tonic::Status>),
    /// The databases could not be read.
    #[error("failed to read the {role} data in order to verify it")]
    Verify {
        /// Whose they are.
        role: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The result cannot be written as JSON.
    #[error("failed to write JSON")]
    Json(#[source] serde_json::Error),
    /// A role's tasks ended although nobody asked them to, and it could not be started again.
    #[error("a role failed for good")]
    RoleFailed,
}
