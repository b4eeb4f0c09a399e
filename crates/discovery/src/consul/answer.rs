//! What Consul says about a service: its members and how each of them is, read leniently, since versions 1.8 to 2.x say it differently.

use super::client::Answer;
use crate::{Endpoint, Standing};
use http::HeaderMap;
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// The weight that is given to what asks for more; sums of weights stay far from any overflow.
const WEIGHT_MAX: u32 = 65_535;

/// What stands above an answer.
#[derive(Debug)]
pub(super) struct Head {
    /// 0 when the agent gave none.
    pub(super) index: u64,
    /// How far the server that answered is behind its leader.
    pub(super) behind: Duration,
    /// What 1.10 and later say when they have left something out; and 1.9 and later, about what is denied by default.
    pub(super) is_filtered: bool,
    pub(super) denies_by_default: bool,
}

/// One answer to `/v1/catalog/services`.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) head: Head,
    /// The services that carry the tag.
    pub(super) names: BTreeSet<String>,
    /// How many services there are, with any tags.
    pub(super) services: usize,
}

/// One answer to `/v1/health/service/NAME`.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) head: Head,
    pub(super) members: Vec<Member>,
    /// Members without an address that can be used; an answer that has only such is not an empty one.
    pub(super) unusable: usize,
}

/// One registration.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    pub(super) state: State,
}

/// How a member is, from the checks of its node and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Warning,
    /// Critical with an empty output: a check that has not run since its agent was started. A real failure has words.
    Unproven,
    Down,
    /// Somebody has said so.
    Maintenance,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default, deserialize_with = "or_default")]
    node: Node,
    service: Service,
    #[serde(default, deserialize_with = "or_default")]
    checks: Vec<Check>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Node {
    #[serde(deserialize_with = "or_default")]
    address: String,
    #[serde(deserialize_with = "or_default")]
    meta: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID", default, deserialize_with = "or_default")]
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    address: String,
    #[serde(default, deserialize_with = "or_default")]
    port: u16,
    #[serde(default, deserialize_with = "or_default")]
    ports: Vec<Port>,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    meta: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    weights: Weights,
}

/// One of several ports, as of Consul 1.22.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    port: u16,
    #[serde(default, deserialize_with = "or_default")]
    default: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Weights {
    passing: u32,
    warning: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Weights { passing: 1, warning: 1 }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID", default, deserialize_with = "or_default")]
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default, deserialize_with = "or_default")]
    output: String,
}

/// Go writes `null` for what is empty.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Reads an answer; `port_name` chooses among several ports.
pub(super) fn read(answer: &Answer, port_name: Option<&str>) -> Result<Health, serde_json::Error> {
    let entries: Vec<Entry> = serde_json::from_slice::<Option<_>>(&answer.body)?.unwrap_or_default();
    let all = entries.len();
    let members: Vec<Member> = entries.into_iter().filter_map(|entry| member(entry, port_name)).collect();
    Ok(Health { head: Head::of(&answer.headers), unusable: all - members.len(), members })
}

/// Reads which services carry a tag.
pub(super) fn read_services(answer: &Answer, tag: &str) -> Result<Listed, serde_json::Error> {
    let services: Option<BTreeMap<String, Option<Vec<String>>>> = serde_json::from_slice(&answer.body)?;
    let services = services.unwrap_or_default();
    let has_tag = |tags: &Option<Vec<String>>| tags.iter().flatten().any(|it| it == tag);
    let head = Head::of(&answer.headers);
    let count = services.len();
    let names = services.into_iter().filter(|(_, tags)| has_tag(tags)).map(|(name, _)| name).collect();
    Ok(Listed { head, names, services: count })
}

impl Head {
    fn of(headers: &HeaderMap) -> Self {
        Head {
            index: number(headers, "x-consul-index"),
            behind: Duration::from_millis(number(headers, "x-consul-lastcontact")),
            is_filtered: text(headers, "x-consul-results-filtered-by-acls") == Some("true"),
            denies_by_default: text(headers, "x-consul-default-acl-policy") == Some("deny"),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> u64 {
    text(headers, name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn member(entry: Entry, port_name: Option<&str>) -> Option<Member> {
    let Entry { node, service, checks } = entry;
    let state = state(&checks);
    let host = if service.address.is_empty() { &node.address } else { &service.address };
    let (Ok(ip), Some(port)) = (host.parse::<IpAddr>(), port(&service, port_name)) else {
        warn!(service.id = service.id, host, "member left out: it needs an IP address and a port");
        return None;
    };
    let address = SocketAddr::new(ip, port);
    let weight = if state == State::Warning { service.weights.warning } else { service.weights.passing };
    let said = |key: &str| service.meta.get(key).or_else(|| node.meta.get(key)).map(|value| Arc::from(value.as_str()));
    let endpoint = Endpoint {
        address,
        standing: if state == State::Warning { Standing::Warning } else { Standing::Up },
        weight: weight.clamp(1, WEIGHT_MAX),
        zone: said("zone"),
        version: said("version"),
        id: service.id.into(),
        tags: service.tags.into(),
        meta: Arc::new(service.meta),
    };
    Some(Member { endpoint, state })
}

fn port(service: &Service, wanted: Option<&str>) -> Option<u16> {
    let named = wanted.and_then(|name| service.ports.iter().find(|port| port.name == name));
    let one = || Some(service.port).filter(|port| *port != 0);
    let default = || service.ports.iter().find(|port| port.default).or(service.ports.first()).map(|port| port.port);
    named.map(|port| port.port).or_else(one).or_else(default).filter(|port| *port != 0)
}

fn state(checks: &[Check]) -> State {
    let is_maintenance =
        |check: &Check| check.id == "_node_maintenance" || check.id.starts_with("_service_maintenance");
    let critical = || checks.iter().filter(|check| !matches!(check.status.as_str(), "passing" | "warning"));
    if critical().any(is_maintenance) {
        State::Maintenance
    } else if critical().any(|check| !check.output.is_empty()) {
        State::Down
    } else if critical().next().is_some() {
        State::Unproven
    } else if checks.iter().any(|check| check.status == "warning") {
        State::Warning
    } else {
        State::Up
    }
}

#[cfg(test)]
mod tests;
