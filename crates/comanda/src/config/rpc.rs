//! How roles in different processes call each other.

use crate::Role;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Where the services of this process are served to other processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcConfig {
    /// Address for gRPC. None: only this process calls them, as in `comanda up`.
    pub listen: Option<SocketAddr>,
}

/// Where services are that do not run in this process, as in `http://127.0.0.1:7001`. A role that runs here is called directly.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstreams {
    /// The Order Service.
    pub order: Option<String>,
    /// The Consumer Service.
    pub consumer: Option<String>,
    /// The Restaurant Service.
    pub restaurant: Option<String>,
}

impl Upstreams {
    /// The address of a service.
    pub(crate) fn get(&self, role: Role) -> Option<&str> {
        match role {
            Role::Order => self.order.as_deref(),
            Role::Consumer => self.consumer.as_deref(),
            Role::Restaurant => self.restaurant.as_deref(),
            Role::Relay | Role::Gateway => None,
        }
    }
}
