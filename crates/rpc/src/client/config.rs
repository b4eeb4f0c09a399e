//! The settings of a client.

use super::{PoolConfig, RetryConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a service is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    /// The longest a call may take whose caller names no `grpc-timeout`, until its answer begins, in milliseconds; 0: as long as it takes.
    /// 75,000: what a server gives such a call.
    pub timeout_default_ms: u64,
    /// Calls in flight at most; the less important ones are turned away a little earlier. 1,024 x 64 KiB, kept for another attempt, is
    /// 64 MiB at most.
    pub in_flight_max: usize,
    /// The breaker of the service as a whole: it counts what is left after all attempts. Slow answers do not open it (`slow_ratio` is 0): a
    /// service that is slow is still the only one there is. It is open for 5 s at most (`open_max_ms`): its users wait for the probe.
    pub breaker: breaker::Config,
    /// Further attempts.
    pub retry: RetryConfig,
    /// The endpoints.
    pub pool: PoolConfig,
    /// What is known of single methods, by path, as in `/comanda.order.v1.OrderService/GetOrder`.
    pub methods: BTreeMap<String, MethodConfig>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            timeout_default_ms: 75_000,
            in_flight_max: 1_024,
            breaker: breaker::Config { slow_ratio: 0.0, open_max_ms: 5_000, ..breaker::Config::default() },
            retry: RetryConfig::default(),
            pool: PoolConfig::default(),
            methods: BTreeMap::new(),
        }
    }
}

/// What is known of a method.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MethodConfig {
    /// Whether a call may be made again although it may have taken effect: it reads only, or carries a key by which it is recognised.
    pub may_repeat: bool,
    /// When a second attempt is made beside the first, in milliseconds; 0: never. Only for what may be repeated.
    pub hedge_after_ms: u64,
    /// How long one attempt may take until its answer begins, in milliseconds; 0: as long as the call.
    pub attempt_timeout_ms: Option<u64>,
    /// Whether answers are held back on purpose, as with `Prefer: wait`: then taking long says nothing about the endpoint.
    pub is_held: bool,
}
