//! How the Order Service behaves where the contract leaves a choice.

use serde::{Deserialize, Serialize};

/// Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long an order for an unknown restaurant waits for the replica to learn of it. 1,000: a restaurant that was created a moment ago
    /// arrives in some milliseconds.
    pub replica_wait_ms: u64,
    /// How long an idempotency key is remembered. 86,400,000 (24 hours), as the contract says.
    pub idempotency_kept_ms: u64,
    /// Orders watched at once. 20,000 x ~2 KiB = 40 MiB; whoever comes then gets RESOURCE_EXHAUSTED.
    pub watches_max: usize,
    /// Outbox, relay and obligations.
    pub outbox: outbox::Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            replica_wait_ms: 1_000,
            idempotency_kept_ms: 86_400_000,
            watches_max: 20_000,
            outbox: outbox::Config::default(),
        }
    }
}
