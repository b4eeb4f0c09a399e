//! Where services are that do not run in this process, and how this process lets itself be found.

use crate::{Error, Role};
use discovery::{DnsConfig, DnsRecords, RegistrationConfig};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Where services are that do not run in this process; a role that runs here is called directly. One of:
///
/// - `http://127.0.0.1:7001`, or several addresses with commas between them;
/// - `http://orders.default.svc:7001`: all addresses that DNS knows of a name;
/// - `srv:_grpc._tcp.orders.default.svc`: addresses and ports of a name;
/// - `consul:comanda-order`: the instances of a service that Consul knows.
///
/// Where `consul` is set, a service that is left out is looked for there, as `comanda-ROLE`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstreams {
    /// The Order Service.
    pub order: Option<String>,
    /// The Consumer Service.
    pub consumer: Option<String>,
    /// The Restaurant Service.
    pub restaurant: Option<String>,
}

/// How the roles of this process are registered with Consul, where `consul` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Presence {
    /// Whether they are. True: whoever names an agent wants to be found.
    pub is_announced: bool,
    /// Under which address others reach this machine. None: the one that is listened on, which must be a real one then.
    pub advertise: Option<IpAddr>,
    /// Under which port others reach the services of this process, if not the one that is listened on: something stands before it.
    pub advertise_port: Option<u16>,
    /// The zone that this process is in. Its own zone is preferred by clients.
    pub zone: Option<String>,
    /// How they are checked.
    pub check: RegistrationConfig,
}

impl Default for Presence {
    fn default() -> Self {
        Presence {
            is_announced: true,
            advertise: None,
            advertise_port: None,
            zone: None,
            check: RegistrationConfig::default(),
        }
    }
}

/// Where a service is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Fixed(Vec<SocketAddr>),
    Dns(DnsConfig),
    Consul(String),
}

/// What the service of a role is called in Consul.
pub(crate) fn service_name(role: Role) -> String {
    format!("comanda-{role}")
}

impl Upstreams {
    /// The place of a service; `None`: nothing is said about it.
    pub(crate) fn get(&self, role: Role) -> Result<Option<Place>, Error> {
        let text = match role {
            Role::Order => &self.order,
            Role::Consumer => &self.consumer,
            Role::Restaurant => &self.restaurant,
            Role::Relay | Role::Gateway => return Ok(None),
        };
        let refused = |text: &String| Error::Upstream { role, place: text.clone() };
        text.as_ref().map(|text| parse(text).ok_or_else(|| refused(text))).transpose()
    }
}

/// The place that a text names.
pub(crate) fn parse(text: &str) -> Option<Place> {
    if let Some(service) = text.strip_prefix("consul:") {
        return (!service.is_empty()).then(|| Place::Consul(service.to_owned()));
    }
    if let Some(name) = text.strip_prefix("srv:") {
        let records = DnsRecords::Srv;
        return (!name.is_empty())
            .then(|| Place::Dns(DnsConfig { name: name.to_owned(), records, ..DnsConfig::default() }));
    }
    let places: Option<Vec<&str>> = text.split(',').map(|one| one.trim().strip_prefix("http://")).collect();
    let places: Vec<&str> = places?.into_iter().map(|one| one.trim_end_matches('/')).collect();
    let addresses: Result<Vec<SocketAddr>, _> = places.iter().map(|one| one.parse()).collect();
    match (addresses, places.as_slice()) {
        (Ok(addresses), _) => Some(Place::Fixed(addresses)),
        (Err(_), [name]) => {
            let (host, port) = name.rsplit_once(':')?;
            let is_name = !host.is_empty() && !host.contains(['/', ':', '[']) && port.parse::<u16>().is_ok();
            is_name.then(|| Place::Dns(DnsConfig { name: (*name).to_owned(), ..DnsConfig::default() }))
        }
        (Err(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_addresses_a_name_or_a_service_of_consul() {
        let dns =
            |name: &str, records| Place::Dns(DnsConfig { name: name.to_owned(), records, ..DnsConfig::default() });
        let local = SocketAddr::from(([127, 0, 0, 1], 7001));

        assert_eq!(parse("http://127.0.0.1:7001"), Some(Place::Fixed(vec![local])));
        assert_eq!(parse("http://127.0.0.1:7001/"), Some(Place::Fixed(vec![local])));
        assert_eq!(parse("http://127.0.0.1:7001, http://127.0.0.1:7001"), Some(Place::Fixed(vec![local, local])));
        assert_eq!(parse("http://orders.svc:7001"), Some(dns("orders.svc:7001", DnsRecords::Addresses)));
        assert_eq!(parse("srv:_grpc._tcp.orders"), Some(dns("_grpc._tcp.orders", DnsRecords::Srv)));
        assert_eq!(parse("consul:comanda-order"), Some(Place::Consul("comanda-order".to_owned())));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in
            ["", "127.0.0.1:7001", "http://", "http://host", "http://a:1,http://b:2", "consul:", "srv:", "https://a:1"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
