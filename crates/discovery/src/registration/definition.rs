//! What is registered, and as what Consul hears it.

use super::address;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Consul raises what is shorter, silently; and its reaper looks every 30 s.
const GONE_AFTER_MS_MIN: u64 = 60_000;
/// Consul raises what is shorter, silently.
const INTERVAL_MS_MIN: u64 = 1_000;

/// One endpoint to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The service that it is one of.
    pub service: String,
    /// Where clients reach it: the machine's address with the port of the bound listener.
    pub address: SocketAddr,
    /// What the registration is called, once per agent. Default: the service and the address, so that a process that is started again in
    /// the same place takes over what a crash has left.
    pub id: Option<String>,
    /// Tags, for those who look by them.
    pub tags: Vec<String>,
    /// What else there is to say.
    pub meta: BTreeMap<String, String>,
    /// The version of the program; meta `version`.
    pub version: Option<String>,
    /// Where it stands; meta `zone`.
    pub zone: Option<String>,
    /// Its part in the platform; meta `role`.
    pub role: Option<String>,
    /// What it speaks, such as `grpc`; meta `protocol`.
    pub protocol: Option<String>,
    /// How it is checked and kept.
    pub config: RegistrationConfig,
}

impl Registration {
    /// A registration with the settings that suit most.
    #[must_use]
    pub fn new(service: impl Into<String>, address: SocketAddr) -> Self {
        Registration {
            service: service.into(),
            address,
            id: None,
            tags: Vec::new(),
            meta: BTreeMap::new(),
            version: None,
            zone: None,
            role: None,
            protocol: Some("grpc".to_owned()),
            config: RegistrationConfig::default(),
        }
    }
}

/// Settings of a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrationConfig {
    /// Whether the agent asks `grpc.health.v1.Health` of the endpoint. Default: yes; without it, only the process itself can say that it
    /// is well, by `ttl_ms`.
    pub grpc_check: bool,
    /// The service that the health check names. Default: none, which is the whole server.
    pub grpc_service: Option<String>,
    /// Whether the endpoint speaks TLS. Default: no.
    pub grpc_tls: bool,
    /// How often the agent asks. Default: 5 s, so that a crash shows within that; at least 1 s.
    pub interval_ms: u64,
    /// How long an answer may take. Default: 2 s, so that a hang shows within 7 s.
    pub timeout_ms: u64,
    /// A second check that the process itself keeps alive, every third of this time. It keeps its state when the agent is restarted, while
    /// the other one is unknown until it has run. Default: none.
    pub ttl_ms: Option<u64>,
    /// When an endpoint that fails is deregistered by the agent. Default: 10 min, since clients do not use it anyway; at least 1 min.
    pub gone_after_ms: u64,
    /// How often the agent is asked what it knows. Default: 10 s: an agent that forgot is told within that.
    pub reconcile_ms: u64,
    /// How long clients have, after the deregistration, to hear of it. Default: 2 s; watches woke within 4 ms, and DNS has longer times to live.
    pub propagation_ms: u64,
    /// The share of calls, relative to others. Default: 1.
    pub weight: u32,
    /// The share of calls while a check warns. Default: 1.
    pub warning_weight: u32,
    /// Whether the endpoint has to answer `SERVING` to this process before it is registered. Default: yes.
    pub await_serving: bool,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        RegistrationConfig {
            grpc_check: true,
            grpc_service: None,
            grpc_tls: false,
            interval_ms: 5_000,
            timeout_ms: 2_000,
            ttl_ms: None,
            gone_after_ms: 600_000,
            reconcile_ms: 10_000,
            propagation_ms: 2_000,
            weight: 1,
            warning_weight: 1,
            await_serving: true,
        }
    }
}

impl RegistrationConfig {
    fn check(&self) -> Result<(), Error> {
        let wrong = |field, reason: &str| Err(Error::Settings { field, reason: reason.to_owned() });
        if self.gone_after_ms < GONE_AFTER_MS_MIN {
            return wrong(
                "gone_after_ms",
                "is shorter than 60000, which Consul would make of it; its reaper takes up to 30 s more",
            );
        }
        if self.interval_ms < INTERVAL_MS_MIN {
            return wrong("interval_ms", "is shorter than 1000, which Consul would make of it");
        }
        if self.ttl_ms.is_some_and(|ttl| ttl < INTERVAL_MS_MIN) {
            return wrong("ttl_ms", "is shorter than 1000; a heartbeat that is a little late would be a failure");
        }
        if !self.grpc_check && self.ttl_ms.is_none() {
            return wrong("grpc_check", "is off and ttl_ms is not set; without any check a crash is never noticed");
        }
        if self.timeout_ms == 0 || self.reconcile_ms == 0 {
            return wrong("timeout_ms and reconcile_ms", "must be longer than 0");
        }
        if !(1..=65_535).contains(&self.weight) || !(1..=65_535).contains(&self.warning_weight) {
            return wrong("weight and warning_weight", "can be 1 to 65535");
        }
        Ok(())
    }
}

/// What an agent knows of a service, as `GET /v1/agent/service/ID` gives it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Known {
    service: String,
    address: String,
    port: u16,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
    weights: Option<Weights>,
}

/// As `PUT /v1/agent/service/register` takes it. Only what 1.8 knows, and of that only what is set.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Definition {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    address: String,
    port: u16,
    tags: Vec<String>,
    meta: BTreeMap<String, String>,
    weights: Weights,
    checks: Vec<Check>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u32,
    warning: u32,
}

#[derive(Debug, Serialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID")]
    id: String,
    name: String,
    #[serde(rename = "GRPC", skip_serializing_if = "Option::is_none")]
    grpc: Option<String>,
    #[serde(rename = "GRPCUseTLS", skip_serializing_if = "std::ops::Not::not")]
    grpc_use_tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    deregister_critical_service_after: String,
}

/// What a check is at the registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It serves: it has said so just now.
    Passing,
    /// What the agent knows already.
    AsBefore,
}

impl Registration {
    pub(super) fn check(&self, agent: &str) -> Result<(), Error> {
        if self.service.is_empty() {
            return Err(Error::Settings { field: "service", reason: "is empty; name the service".to_owned() });
        }
        address::check(self.address, agent)?;
        self.config.check()
    }

    pub(super) fn id(&self) -> String {
        self.id.clone().unwrap_or_else(|| format!("{}-{}", self.service, self.address))
    }

    pub(super) fn ttl_check_id(&self) -> String {
        format!("{}:ttl", self.id())
    }

    pub(super) fn definition(&self, status: Status) -> Definition {
        let config = &self.config;
        let words =
            [("version", &self.version), ("zone", &self.zone), ("role", &self.role), ("protocol", &self.protocol)];
        let said = words.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        Definition {
            id: self.id(),
            name: self.service.clone(),
            address: self.address.ip().to_string(),
            port: self.address.port(),
            tags: self.tags.clone(),
            meta: self.meta.clone().into_iter().chain(said).collect(),
            weights: Weights { passing: config.weight, warning: config.warning_weight },
            checks: self.checks(status),
        }
    }

    /// Whether the agent has what it should have. It may have more words about it, as newer versions may add some.
    pub(super) fn is_known_as(&self, known: &Known) -> bool {
        let wanted = self.definition(Status::AsBefore);
        let meta = known.meta.as_ref();
        known.service == wanted.name
            && known.address == wanted.address
            && known.port == wanted.port
            && known.tags.as_deref().unwrap_or_default() == wanted.tags
            && known.weights == Some(wanted.weights)
            && wanted.meta.iter().all(|(key, value)| meta.and_then(|meta| meta.get(key)) == Some(value))
    }

    fn checks(&self, status: Status) -> Vec<Check> {
        let config = &self.config;
        let bare = |kind: &str| Check {
            id: format!("{}:{kind}", self.id()),
            name: format!("{} {kind}", self.service),
            status: (status == Status::Passing).then_some("passing"),
            deregister_critical_service_after: format!("{}ms", config.gone_after_ms),
            ..Check::default()
        };
        let mut checks = Vec::new();
        if config.grpc_check {
            let of = config.grpc_service.as_ref().map(|service| format!("/{service}")).unwrap_or_default();
            checks.push(Check {
                grpc: Some(format!("{}{of}", self.address)),
                grpc_use_tls: config.grpc_tls,
                interval: Some(format!("{}ms", config.interval_ms)),
                timeout: Some(format!("{}ms", config.timeout_ms)),
                ..bare("grpc")
            });
        }
        if let Some(ttl_ms) = config.ttl_ms {
            checks.push(Check { ttl: Some(format!("{ttl_ms}ms")), ..bare("ttl") });
        }
        checks
    }
}

#[cfg(test)]
impl Known {
    /// What an agent makes of it.
    pub(super) fn of(registration: &Registration) -> Self {
        let Definition { name, address, port, tags, meta, weights, .. } = registration.definition(Status::Passing);
        Known { service: name, address, port, tags: Some(tags), meta: Some(meta), weights: Some(weights) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Registration {
        Registration {
            zone: Some("a".to_owned()),
            version: Some("1.2".to_owned()),
            ..Registration::new("orders", SocketAddr::from(([10, 0, 0, 1], 50051)))
        }
    }

    #[track_caller]
    fn check(config: RegistrationConfig, complaint: &str) {
        let refused = Registration { config, ..some() }.check("http://127.0.0.1:8500").unwrap_err().to_string();
        assert!(refused.contains(complaint), "{refused}");
    }

    #[test]
    fn a_setting_that_consul_would_change_silently_is_refused() {
        let default = RegistrationConfig::default;
        check(
            RegistrationConfig { gone_after_ms: 30_000, ..default() },
            "gone_after_ms is wrong: is shorter than 60000",
        );
        check(RegistrationConfig { interval_ms: 100, ..default() }, "interval_ms");
        check(RegistrationConfig { ttl_ms: Some(10), ..default() }, "ttl_ms");
        check(RegistrationConfig { grpc_check: false, ..default() }, "never noticed");
        check(RegistrationConfig { weight: 0, ..default() }, "weight");
    }

    #[test]
    fn a_definition_says_only_what_is_set() {
        let written = serde_json::to_value(some().definition(Status::Passing)).unwrap();

        assert_eq!(written["ID"], "orders-10.0.0.1:50051");
        assert_eq!(written["Meta"], serde_json::json!({"protocol": "grpc", "version": "1.2", "zone": "a"}));
        assert_eq!(
            written["Checks"],
            serde_json::json!([{
                "CheckID": "orders-10.0.0.1:50051:grpc", "Name": "orders grpc", "GRPC": "10.0.0.1:50051",
                "Interval": "5000ms", "Timeout": "2000ms", "Status": "passing", "DeregisterCriticalServiceAfter": "600000ms",
            }])
        );
    }

    #[test]
    fn a_time_to_live_is_a_second_check() {
        let config = RegistrationConfig {
            ttl_ms: Some(9_000),
            grpc_service: Some("Orders".to_owned()),
            ..RegistrationConfig::default()
        };

        let written = serde_json::to_value(Registration { config, ..some() }.definition(Status::AsBefore)).unwrap();

        assert_eq!(written["Checks"][0]["GRPC"], "10.0.0.1:50051/Orders");
        assert_eq!(written["Checks"][1]["TTL"], "9000ms");
        assert!(written["Checks"][1].get("Status").is_none());
    }
}
