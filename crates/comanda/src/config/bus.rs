//! How messages travel.

use messaging::JetStreamConfig;
use serde::{Deserialize, Serialize};

/// Which channels carry messages between services.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BusConfig {
    /// `embedded`: a durable log in `data_dir`, for roles in one process. `jetstream`: NATS, for roles in many.
    pub kind: BusKind,
    /// How NATS is reached.
    pub jetstream: JetStreamConfig,
}

/// Which channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BusKind {
    /// A log inside this process.
    #[default]
    Embedded,
    /// NATS JetStream.
    JetStream,
}
