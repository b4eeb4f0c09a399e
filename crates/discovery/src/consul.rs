//! Consul: watches by blocking queries, and registration with the agent beside this process.

mod access;
mod answer;
mod client;
mod config;
mod disk;
mod names;
mod pool;
mod query;
mod snapshot;
mod tag;
mod tls;
mod view;
mod watch;

pub use config::{ConsulConfig, ConsulTls};

pub(crate) use client::{Answer, Ask, Client, segment};

use crate::registration::{self, Registered, Registration};
use crate::{Endpoints, Error, Tagged};
use lifecycle::Tasks;
use std::sync::Arc;

/// The Consul agents that this process asks. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Consul {
    client: Arc<Client>,
}

impl Consul {
    /// Reads the settings and the certificates; nothing is asked yet, so Consul may be away.
    ///
    /// # Errors
    /// Names a setting that makes no sense, or a file that cannot be used.
    pub fn new(config: ConsulConfig) -> Result<Self, Error> {
        config.check()?;
        Ok(Consul { client: Arc::new(Client::new(config)?) })
    }

    /// Follows a service until the drain of `tasks`.
    #[must_use]
    pub fn watch(&self, tasks: &mut Tasks, service: &str) -> Endpoints {
        let (feed, endpoints) = Endpoints::feed();
        let watch = watch::Watch::new(self.client.clone(), service, feed);
        tasks.spawn("consul-watch", watch.run(tasks.drain_request()));
        endpoints
    }

    /// Follows which services have a registration with this tag, until the drain of `tasks`.
    #[must_use]
    pub fn tagged(&self, tasks: &mut Tasks, tag: &str) -> Tagged {
        let (feed, tagged) = Tagged::feed();
        let watch = tag::TagWatch::new(self.client.clone(), tag, feed);
        tasks.spawn("consul-tag", watch.run(tasks.drain_request()));
        tagged
    }

    /// Registers an endpoint with the first agent as soon as it serves, and keeps it registered until it is deregistered or the drain of
    /// `tasks` is requested. Always the first agent: a service belongs to the agent that checks it, and would be there twice otherwise.
    ///
    /// # Errors
    /// When nobody could reach the address, or a setting makes no sense. That Consul is away is no error.
    pub fn register(&self, tasks: &mut Tasks, registration: Registration) -> Result<Registered, Error> {
        registration::start(self.client.clone(), tasks, registration)
    }
}
