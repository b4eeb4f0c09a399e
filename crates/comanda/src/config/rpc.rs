//! What this process serves to others.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Where the services of this process are served to other processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcConfig {
    /// Address for gRPC. None: only this process calls them, as in `comanda up`.
    pub listen: Option<SocketAddr>,
}
