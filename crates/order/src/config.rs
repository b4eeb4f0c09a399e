//! How the Order Service behaves where the contract leaves a choice.

use serde::{Deserialize, Serialize};

/// Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long an order for an unknown restaurant waits for the replica to learn of it. 1,000: a restaurant that was created a moment ago
    /// arrives in some milliseconds.
    pub replica_wait_ms: u64,
    /// When an order is validated. Asynchronous: whoever orders depends on this service alone.
    pub validation: Validation,
    /// How long an idempotency key is remembered. 86,400,000 (24 hours), as the contract says.
    pub idempotency_kept_ms: u64,
    /// Orders watched at once. 20,000 x ~2 KiB = 40 MiB; whoever comes then gets RESOURCE_EXHAUSTED.
    pub watches_max: usize,
    /// Outbox, relay and obligations.
    pub outbox: outbox::Config,
}

/// When an order is validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// After the answer, over messages, for as long as that takes.
    #[default]
    Asynchronous,
    /// Before the answer too, by calls; without the services that are called there is no order. It is here for the availability lab,
    /// which measures what that costs, and for nothing else.
    Synchronous,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            replica_wait_ms: 1_000,
            validation: Validation::default(),
            idempotency_kept_ms: 86_400_000,
            watches_max: 20_000,
            outbox: outbox::Config::default(),
        }
    }
}
