//! The limits of the public port, and what is served there.

use crate::catalog::{CatalogConfig, DiscoverConfig, ServiceConfig};
use crate::edge::Cors;
use crate::{AccessLogConfig, CompressionConfig, CorsConfig, Error, TlsConfig, WebSocketConfig};
use guard::Openness;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What the public port takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Threads of its own, each with its own connections to clients and services, so that no call changes threads; 64 at most. 0: the threads
    /// of the process, which take calls from each other. None: as many as there are processors, unless a service runs in the same process.
    pub threads: Option<usize>,
    /// Connections at most; more wait in the system's queue. 10,000 of ~100 KiB each are 1 GiB.
    pub connections_max: usize,
    /// Connections from one address at most, or from one /64 of IPv6; more are closed at once. 2,500: a quarter of all, so that one client
    /// cannot lock out the others. A gateway behind a proxy, which is one address, needs as many as the proxy opens.
    pub connections_per_address_max: usize,
    /// How much longer an address, or a /64 of IPv6, waits with its next connection for each one that broke the rules of HTTP/2, in
    /// milliseconds; 10 s in all at most. 100: ten connections a second are no flood, and a client with a fault is hardly slower. 0: not at all.
    pub penalty_ms: u64,
    /// Calls at once on one HTTP/2 connection. 256: above the 100 that clients assume, and a bound on one client's share.
    pub streams_max: u32,
    /// Bytes of a request's headers at most, counted as HTTP/2 does. 16 KiB: what common proxies pass.
    pub header_bytes_max: u32,
    /// Headers of a request at most. 100: four times what browsers send.
    pub headers_max: usize,
    /// Time for a request's head to arrive, in milliseconds. 10,000: slow networks need 3 s, and attackers get no more.
    pub header_read_timeout_ms: u64,
    /// Time for a client to take some of what is written, in milliseconds. 30,000: who takes nothing for as long has gone, or only holds on.
    pub write_timeout_ms: u64,
    /// How often a silent HTTP/2 client is asked whether it is still there, in milliseconds. 20,000: below the 30 s of common proxies.
    pub keepalive_interval_ms: u64,
    /// How long calls may go on when the gateway stops, in milliseconds. 8,000: less than the 10 s
    /// after which the process aborts its tasks.
    pub drain_timeout_ms: u64,
    /// Whether Comanda's own contract is served. None: it is, unless this process runs nothing but the gateway and is told neither of a
    /// service of Comanda nor of Consul.
    pub builtin: Option<bool>,
    /// Foreign services, by the names that they have in logs, metrics and refusals.
    pub services: BTreeMap<String, ServiceConfig>,
    /// Foreign services that are found in Consul.
    pub discover: DiscoverConfig,
    /// How foreign services come and go.
    pub catalog: CatalogConfig,
    /// The port's certificate. None: plain HTTP, for a port that is reached over this machine or behind a proxy.
    pub tls: Option<TlsConfig>,
    /// Which pages may call.
    pub cors: CorsConfig,
    /// Which answers are compressed.
    pub compression: CompressionConfig,
    /// Where a line is written for each request: `"off"`, `"stdout"` or `{ file = ".." }`.
    pub access_log: AccessLogConfig,
    /// What a WebSocket may do.
    pub websocket: WebSocketConfig,
    /// What a request and an answer may be.
    pub transcode: transcode::Config,
    /// Who may call what, how often and for how long.
    pub guard: guard::Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            threads: None,
            connections_max: 10_000,
            connections_per_address_max: 2_500,
            penalty_ms: 100,
            streams_max: 256,
            header_bytes_max: 16 << 10,
            headers_max: 100,
            header_read_timeout_ms: 10_000,
            write_timeout_ms: 30_000,
            keepalive_interval_ms: 20_000,
            drain_timeout_ms: 8_000,
            builtin: None,
            services: BTreeMap::new(),
            discover: DiscoverConfig::default(),
            catalog: CatalogConfig::default(),
            tls: None,
            cors: CorsConfig::default(),
            compression: CompressionConfig::default(),
            access_log: AccessLogConfig::default(),
            websocket: WebSocketConfig::default(),
            transcode: transcode::Config::default(),
            guard: guard::Config {
                idempotency: guard::IdempotencyConfig {
                    bucket: "comanda_answers".to_owned(),
                    ..guard::IdempotencyConfig::default()
                },
                ..guard::Config::default()
            },
        }
    }
}

impl Config {
    /// Looks whether the port would be opened at `listen`, as far as can be told without its files, and for whom.
    ///
    /// # Errors
    /// When it would be open to everybody by chance, or a setting makes no sense.
    pub fn check(&self, listen: SocketAddr) -> Result<Openness, Error> {
        Cors::new(&self.cors)?;
        self.guard.check().map_err(Error::Guard)?;
        self.guard.openness(listen).map_err(Error::Guard)
    }

    pub(crate) fn penalty(&self) -> Duration {
        Duration::from_millis(self.penalty_ms)
    }

    pub(crate) fn header_read_timeout(&self) -> Duration {
        Duration::from_millis(self.header_read_timeout_ms)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }

    pub(crate) fn keepalive_interval(&self) -> Duration {
        Duration::from_millis(self.keepalive_interval_ms)
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = serde_json::from_str::<Config>(r#"{"stream_max": 1}"#).unwrap_err();

        assert!(error.to_string().contains("unknown field `stream_max`"), "{error}");
    }

    #[test]
    fn every_key_has_a_default() {
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    }
}
