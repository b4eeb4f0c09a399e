//! Lets the roles of this process be found by others, and takes them out first when it ends.

use crate::config::service_name;
use crate::services_port::health_name;
use crate::{Config, Error, Role};
use discovery::{Consul, Registered, Registration, RegistrationConfig};
use futures_util::future::join_all;
use lifecycle::Tasks;
use std::net::SocketAddr;
use tracing::{info, warn};

/// How long a process that has no gRPC port may be silent before it counts as gone, in milliseconds.
const TTL_MS: u64 = 15_000;

/// Where the ports of this process are.
pub(crate) struct Ports {
    pub(crate) public: Option<SocketAddr>,
    pub(crate) services: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

/// The registrations of this process.
#[derive(Default)]
pub(crate) struct Presence(Vec<Registered>);

impl Presence {
    /// Registers every role that has a port; each is there for others as soon as it serves.
    pub(crate) fn announce(
        config: &Config,
        consul: Option<&Consul>,
        ports: &Ports,
        tasks: &mut Tasks,
    ) -> Result<Self, Error> {
        let Some(consul) = consul.filter(|_| config.presence.is_announced) else { return Ok(Presence::default()) };
        let mut registered = Vec::new();
        for role in &config.roles {
            if let Some(registration) = registration(config, *role, ports) {
                registered.push(consul.register(tasks, registration).map_err(Error::Discovery)?);
            }
        }
        Ok(Presence(registered))
    }

    /// Takes the roles out, and waits until others know.
    pub(crate) async fn leave(self) {
        let leaving = self.0.into_iter().map(async |registered| {
            let id = registered.id().to_owned();
            match registered.deregister().await {
                Ok(()) => info!(registration = id, "deregistered"),
                Err(error) => warn!(error = &error as &dyn std::error::Error, "left without being deregistered"),
            }
        });
        join_all(leaving).await;
    }
}

fn registration(config: &Config, role: Role, ports: &Ports) -> Option<Registration> {
    let (port, protocol, check) = match role {
        Role::Gateway => (ports.public?, "http", grpc(config, None)),
        Role::Relay => (ports.admin, "admin", by_itself(config)),
        Role::Order | Role::Consumer | Role::Restaurant => (ports.services?, "grpc", grpc(config, health_name(role))),
    };
    let before = config.presence.advertise_port.filter(|_| Some(port) == ports.services);
    let address = SocketAddr::new(config.presence.advertise.unwrap_or(port.ip()), before.unwrap_or(port.port()));
    Some(Registration {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        zone: config.presence.zone.clone(),
        role: Some(role.name().to_owned()),
        protocol: Some(protocol.to_owned()),
        config: check,
        ..Registration::new(service_name(role), address)
    })
}

/// The agent asks the port for the health of the role's service.
fn grpc(config: &Config, service: Option<&str>) -> RegistrationConfig {
    let check = config.presence.check.clone();
    RegistrationConfig { grpc_service: check.grpc_service.clone().or(service.map(str::to_owned)), ..check }
}

/// The process says that it is well.
fn by_itself(config: &Config) -> RegistrationConfig {
    let check = config.presence.check.clone();
    RegistrationConfig { grpc_check: false, ttl_ms: check.ttl_ms.or(Some(TTL_MS)), ..check }
}
