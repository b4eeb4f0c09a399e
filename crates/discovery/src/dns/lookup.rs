//! Asks DNS servers; the only place that knows how.

use super::config::DnsConfig;
use crate::Error;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Targets of one SRV name; what is beyond is not looked up. Some 20 fit into a UDP packet, and each may cost two questions.
const TARGETS_MAX: usize = 256;

/// An address family, each with a question of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

/// What an SRV record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) weight: u32,
    pub(super) priority: u16,
}

/// Addresses, none of them if DNS says that there are none; and how long that may be used.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ttl: Option<Duration>,
}

/// The servers that are asked.
pub(super) struct Resolver(TokioResolver);

impl Resolver {
    pub(super) fn new(config: &DnsConfig) -> Result<Self, Error> {
        let (servers, mut options) = match config.servers.as_slice() {
            [] => read_system_conf()
                .map_err(|error| Error::File { path: PathBuf::from("/etc/resolv.conf"), source: error.into() })?,
            servers => {
                let servers = servers.iter().copied().map(server).collect();
                (ResolverConfig::from_name_servers(servers), Default::default())
            }
        };
        options.timeout = Duration::from_millis(config.timeout_ms);
        options.attempts = 1;
        // The watch asks when the time to live is over, and then wants to know.
        options.cache_size = 0;
        let unusable = |error: NetError| Error::Settings { field: "servers", reason: error.to_string() };
        let builder = TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
        Ok(Resolver(builder.with_options(options).build().map_err(unusable)?))
    }

    /// The targets of an SRV name; none if DNS says that there are none.
    pub(super) async fn service(&self, name: &str) -> Result<(Vec<Target>, Option<Duration>), Error> {
        let Some(lookup) = self.lookup(name, RecordType::SRV).await? else { return Ok((Vec::new(), None)) };
        let targets = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(Target {
                name: srv.target.to_string(),
                port: srv.port,
                // 0 stands for "a very small chance", and 1 is the smallest there is here.
                weight: u32::from(srv.weight).max(1),
                priority: srv.priority,
            }),
            _ => None,
        });
        Ok((targets.take(TARGETS_MAX).collect(), ttl(&lookup)))
    }

    pub(super) async fn addresses(&self, name: &str, family: Family) -> Result<Found, Error> {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        let Some(lookup) = self.lookup(name, kind).await? else { return Ok(Found::default()) };
        let addresses = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        });
        Ok(Found { addresses: addresses.collect(), ttl: ttl(&lookup) })
    }

    /// `None` if DNS says that there is nothing.
    async fn lookup(&self, name: &str, kind: RecordType) -> Result<Option<Lookup>, Error> {
        match self.0.lookup(name, kind).await {
            Ok(lookup) => Ok(Some(lookup)),
            Err(error) if error.is_no_records_found() => Ok(None),
            Err(error) => Err(Error::Lookup { name: name.to_owned(), source: error.into() }),
        }
    }
}

/// The shortest of all records, an alias on the way among them.
fn ttl(lookup: &Lookup) -> Option<Duration> {
    lookup.answers().iter().map(|record| Duration::from_secs(record.ttl.into())).min()
}

fn server(address: SocketAddr) -> NameServerConfig {
    let on_its_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    // TCP for answers that do not fit into a packet.
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(on_its_port).to_vec();
    NameServerConfig::new(address.ip(), true, connections)
}
