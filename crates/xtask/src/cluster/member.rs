//! The processes of the cluster, in the order in which they are started.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Postgres,
    /// A NATS server, from 1.
    Nats(u16),
    Consul,
    Consumer,
    Restaurant,
    Order,
    Relay,
    Gateway,
}

/// Away from what is usual, where a server of the machine's own may listen. `deploy/local` has the same.
pub(super) const POSTGRES: SocketAddr = local(15_432);

impl Member {
    /// Those that run a role of the platform.
    pub(super) const ROLES: [Member; 5] =
        [Member::Consumer, Member::Restaurant, Member::Order, Member::Relay, Member::Gateway];

    /// All that there can be.
    pub(super) fn all() -> Vec<Member> {
        let servers = [Member::Postgres, Member::Nats(1), Member::Nats(2), Member::Nats(3), Member::Consul];
        servers.into_iter().chain(Member::ROLES).collect()
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Member::Postgres => f.pad("postgres"),
            Member::Nats(number) => f.pad(&format!("nats-{number}")),
            Member::Consul => f.pad("consul"),
            Member::Consumer => f.pad("consumer"),
            Member::Restaurant => f.pad("restaurant"),
            Member::Order => f.pad("order"),
            Member::Relay => f.pad("relay"),
            Member::Gateway => f.pad("gateway"),
        }
    }
}

/// A port of this machine.
pub(super) const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
