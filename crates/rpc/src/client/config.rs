//! The settings of a client.

use super::RetryConfig;
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

/// When a read is asked for a second time, of another endpoint: several times what one takes, and less than a user notices.
const HEDGE_READS_AFTER_MS: u64 = 500;

impl MethodConfig {
    /// A method that only reads, and gives one answer (`NO_SIDE_EFFECTS`).
    #[must_use]
    pub fn reading() -> Self {
        MethodConfig { hedge_after_ms: HEDGE_READS_AFTER_MS, ..MethodConfig::idempotent() }
    }

    /// A method whose call may be made again (`IDEMPOTENT`).
    #[must_use]
    pub fn idempotent() -> Self {
        MethodConfig { may_repeat: true, ..MethodConfig::default() }
    }
}

/// How the endpoints of a service are used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// How long a call waits for the first endpoint that can be reached; calls that come later wait for what is left of that, and then fail
    /// at once. In milliseconds. 1,000: a service that is restarted is back by then, and a user does not wait longer.
    pub failfast_ms: u64,
    /// How long one attempt may take until its answer begins, in milliseconds; 0: as long as its call. 5,000: five times what counts as slow,
    /// so that an endpoint that hangs is left while its callers still wait.
    pub attempt_timeout_ms: u64,
    /// How long a connection may take to be made, in milliseconds. 1,000: services are near each other.
    pub connect_timeout_ms: u64,
    /// The pause before a connection is tried again, doubled each time, less up to a half at random, in milliseconds.
    pub reconnect_ms: u64,
    /// The longest such pause. 250: an attempt costs a packet, and a peer that is back is used a quarter of a second later.
    pub reconnect_max_ms: u64,
    /// How often an idle connection is asked whether it is alive, in milliseconds.
    pub keepalive_ms: u64,
    /// When fewer of the endpoints work than this part of them, in percent, the breakers are not asked. 50, as in Envoy: the fault is rather
    /// with the client, or with all of them.
    pub panic_percent: u32,
    /// The part of the endpoints that open breakers may leave out at once, in percent; one at least, and never all.
    pub ejected_max_percent: u32,
    /// Endpoints that are connected to at most, 1 to 64; of more, each client uses some of its own. 20: enough to spread the load, and few
    /// enough connections on a server with many clients.
    pub subset_max: usize,
    /// The zone that this client is in; its endpoints are preferred.
    pub zone: Option<String>,
    /// How long calls of an endpoint that was removed may go on, in milliseconds.
    pub drain_ms: u64,
    /// The breaker of each endpoint. It is open for 10 s at most (`open_max_ms`): a probe is a health check, which costs no user anything.
    pub breaker: breaker::Config,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            failfast_ms: 1_000,
            attempt_timeout_ms: 5_000,
            connect_timeout_ms: 1_000,
            reconnect_ms: 50,
            reconnect_max_ms: 250,
            keepalive_ms: 5_000,
            panic_percent: 50,
            ejected_max_percent: 50,
            subset_max: 20,
            zone: None,
            drain_ms: 30_000,
            breaker: breaker::Config { open_max_ms: 10_000, ..breaker::Config::default() },
        }
    }
}
