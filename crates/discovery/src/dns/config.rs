//! Which name is looked up, where and how often.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// Settings of the DNS adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsConfig {
    /// The name, with the port where the records have none: `orders.default.svc:50051`, or `_grpc._tcp.orders.default.svc` for SRV. One
    /// that ends in a dot is not completed by the search domains of the machine. No default.
    pub name: String,
    /// Which records it has. Default: addresses.
    pub records: DnsRecords,
    /// The servers to ask. Default: those of `/etc/resolv.conf`, which is read once.
    pub servers: Vec<SocketAddr>,
    /// How long a server may take for one answer; it is asked twice. Default: 2 s, since it is near.
    pub timeout_ms: u64,
    /// How long an answer is used at least, whatever it says. Default: 1 s, since Consul says 0.
    pub ttl_ms_min: u64,
    /// How long an answer is used at most, whatever it says. Default: 30 s, what Kubernetes says.
    pub ttl_ms_max: u64,
    /// The first pause after a fault; it doubles. Default: 500 ms.
    pub backoff_ms_min: u64,
    /// The longest pause after faults. Default: 10 s, so that news is at most so much later once DNS is back.
    pub backoff_ms_max: u64,
}

/// Which records a name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsRecords {
    /// A and AAAA.
    #[default]
    Addresses,
    /// SRV, with ports, weights and priorities (RFC 2782). Later priorities are demoted endpoints.
    Srv,
}

impl Default for DnsConfig {
    fn default() -> Self {
        DnsConfig {
            name: String::new(),
            records: DnsRecords::Addresses,
            servers: Vec::new(),
            timeout_ms: 2_000,
            ttl_ms_min: 1_000,
            ttl_ms_max: 30_000,
            backoff_ms_min: 500,
            backoff_ms_max: 10_000,
        }
    }
}

/// A name, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Host { name: String, port: u16 },
    Service { name: String },
}

impl DnsConfig {
    pub(super) fn check(&self) -> Result<Place, Error> {
        let wrong = |field, reason: &str| Err(Error::Settings { field, reason: reason.to_owned() });
        if self.timeout_ms == 0 || self.ttl_ms_min == 0 {
            return wrong("timeout_ms and ttl_ms_min", "must be longer than 0");
        }
        if self.ttl_ms_min > self.ttl_ms_max {
            return wrong("ttl_ms_min", "can be 1 to ttl_ms_max");
        }
        if self.backoff_ms_min == 0 || self.backoff_ms_min > self.backoff_ms_max {
            return wrong("backoff_ms_min", "can be 1 to backoff_ms_max");
        }
        match (self.records, self.name.rsplit_once(':')) {
            (DnsRecords::Addresses, Some((name, port))) if !name.is_empty() => match port.parse() {
                Ok(port @ 1..) => Ok(Place::Host { name: name.to_owned(), port }),
                Ok(0) | Err(_) => wrong("name", "has no port from 1 to 65535 after its colon"),
            },
            (DnsRecords::Addresses, _) => wrong("name", "needs a port, as in orders.default.svc:50051"),
            (DnsRecords::Srv, None) if !self.name.is_empty() => Ok(Place::Service { name: self.name.clone() }),
            (DnsRecords::Srv, _) => wrong("name", "is a name without a port, as in _grpc._tcp.orders.default.svc"),
        }
    }

    /// How long an answer is used.
    pub(super) fn bounded(&self, ttl: Duration) -> Duration {
        ttl.clamp(Duration::from_millis(self.ttl_ms_min), Duration::from_millis(self.ttl_ms_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, records: DnsRecords) -> DnsConfig {
        DnsConfig { name: name.to_owned(), records, ..DnsConfig::default() }
    }

    #[track_caller]
    fn check(config: &DnsConfig, complaint: &str) {
        let refused = config.check().unwrap_err().to_string();
        assert!(refused.contains(complaint), "{refused}");
    }

    #[test]
    fn a_name_of_addresses_has_a_port_and_one_of_services_has_none() {
        let host = Place::Host { name: "orders.default.svc".to_owned(), port: 50051 };
        assert_eq!(of("orders.default.svc:50051", DnsRecords::Addresses).check().unwrap(), host);
        check(&of("orders.default.svc", DnsRecords::Addresses), "needs a port");
        check(&of("orders.default.svc:0", DnsRecords::Addresses), "from 1 to 65535");
        check(&of("_grpc._tcp.orders:1", DnsRecords::Srv), "without a port");
        check(&DnsConfig::default(), "name");
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert!(toml::from_str::<DnsConfig>("nmae = \"orders:1\"").is_err());
    }

    #[test]
    fn a_time_to_live_is_bounded_on_both_sides() {
        let config = of("orders:1", DnsRecords::Addresses);

        let used = [0, 7, 86_400].map(|seconds| config.bounded(Duration::from_secs(seconds)).as_secs());

        assert_eq!(used, [1, 7, 30]);
    }
}
