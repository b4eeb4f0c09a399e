//! The services of the platform, a process for each; two of them behind lines that can be cut.

use crate::Error;
use crate::line::Line;
use crate::process::Process;
use crate::report::Way;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

/// How a role is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name on the command line.
    pub name: &'static str,
    /// What follows `serve NAME` on the command line: where its configuration is.
    pub arguments: Vec<OsString>,
    /// The addresses of its broker, as its configuration says.
    pub brokers: Vec<String>,
    /// Whether it finds others, and is found, through Consul.
    pub is_discovered: bool,
}

/// What the platform is made of. Everything that is not said here stands in the configuration of the roles, and in the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The program that runs a role.
    pub program: PathBuf,
    /// The Order Service.
    pub order: Role,
    /// The Consumer Service.
    pub consumer: Role,
    /// The Restaurant Service.
    pub restaurant: Role,
    /// Where the processes keep their logs, and whatever else they keep in files.
    pub folder: PathBuf,
}

/// The twin's calls neither wait for a service to come back nor learn late that it has, or outages would be shorter or longer than planned.
const AT_ONCE: [(&str, &str); 2] =
    [("COMANDA_CLIENT__POOL__FAILFAST_MS", "0"), ("COMANDA_CLIENT__POOL__RECONNECT_MAX_MS", "50")];
/// The services that are taken away.
pub(crate) const TAKEN_AWAY: usize = 2;

/// A platform that takes orders, one way or the other.
#[derive(Debug)]
pub(crate) struct Platform {
    setup: Setup,
    pub(crate) consumer: Service,
    pub(crate) restaurant: Service,
    order: Option<Process>,
}

impl Platform {
    /// Starts the services that orders are validated by.
    pub(crate) async fn start(setup: Setup) -> Result<Self, Error> {
        let consumer = Service::start(&setup, &setup.consumer).await?;
        let restaurant = Service::start(&setup, &setup.restaurant).await?;
        Ok(Platform { setup, consumer, restaurant, order: None })
    }

    /// Starts the Order Service, in place of the one before, and says where it listens.
    ///
    /// The services that it calls are told to it as addresses, unless it finds them through Consul, where they are registered at their lines.
    pub(crate) async fn take_orders(&mut self, way: Way) -> Result<SocketAddr, Error> {
        if let Some(order) = self.order.take() {
            order.stop().await?;
        }
        let address = free()?;
        let validation = match way {
            Way::Sync => "synchronous",
            Way::Async => "asynchronous",
        };
        let mut env =
            vec![("COMANDA_RPC__LISTEN", address.to_string()), ("COMANDA_ORDER__VALIDATION", validation.to_owned())];
        env.extend(AT_ONCE.map(|(name, value)| (name, value.to_owned())));
        if !self.setup.order.is_discovered {
            env.push(("COMANDA_UPSTREAMS__CONSUMER", format!("http://{}", self.consumer.calls.address())));
            env.push(("COMANDA_UPSTREAMS__RESTAURANT", format!("http://{}", self.restaurant.calls.address())));
        }
        self.order = Some(start(&self.setup, &self.setup.order, &env)?);
        Ok(address)
    }

    /// Takes a service away, or brings it back.
    pub(crate) fn set(&self, service: usize, is_up: bool) {
        let services: [&Service; TAKEN_AWAY] = [&self.consumer, &self.restaurant];
        services[service].calls.set(is_up);
        services[service].broker.set(is_up);
    }

    /// Says so if a process has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        self.consumer.process.check()?;
        self.restaurant.process.check()?;
        self.order.as_mut().map_or(Ok(()), Process::check)
    }

    /// Where the logs are.
    pub(crate) fn logs(&self) -> PathBuf {
        self.setup.folder.clone()
    }

    /// Asks the processes to end, the callers first.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        for process in self.order.into_iter().chain([self.restaurant.process, self.consumer.process]) {
            process.stop().await?;
        }
        Ok(())
    }
}

/// A service, and all the ways to it and from it but that to its own database.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) calls: Line,
    broker: Line,
    process: Process,
}

impl Service {
    async fn start(setup: &Setup, role: &Role) -> Result<Self, Error> {
        let address = free()?;
        let broker = Line::to(broker(role)?).await?;
        let calls = Line::to(address.to_string()).await?;
        let mut env = vec![
            ("COMANDA_RPC__LISTEN", address.to_string()),
            ("COMANDA_BUS__JETSTREAM__SERVERS", format!("[\"nats://{}\"]", broker.address())),
        ];
        if role.is_discovered {
            env.push(("COMANDA_PRESENCE__ADVERTISE_PORT", calls.address().port().to_string()));
            env.push(("COMANDA_PRESENCE__CHECK__INTERVAL_MS", "1000".to_owned()));
        }
        let process = start(setup, role, &env)?;
        Ok(Service { calls, broker, process })
    }
}

fn start(setup: &Setup, role: &Role, env: &[(&str, String)]) -> Result<Process, Error> {
    Process::start(role.name, &setup.program, &setup.folder.join(role.name), &role.arguments, env)
}

/// The one server of the broker, as in `127.0.0.1:4222`.
fn broker(role: &Role) -> Result<String, Error> {
    let server = match role.brokers.as_slice() {
        [only] => only.strip_prefix("nats://").map(|it| it.trim_end_matches('/')),
        _ => None,
    };
    let server = server.map(|it| if it.contains(':') { it.to_owned() } else { format!("{it}:4222") });
    server.ok_or_else(|| Error::Broker { role: role.name, addresses: role.brokers.clone() })
}

/// An address on this machine that is free now.
fn free() -> Result<SocketAddr, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).map_err(Error::Line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(brokers: &[&str], expected: Option<&str>) {
        let brokers = brokers.iter().map(|&it| it.to_owned()).collect();
        let role = Role { name: "consumer", arguments: Vec::new(), brokers, is_discovered: false };
        assert_eq!(broker(&role).ok().as_deref(), expected);
    }

    #[test]
    fn a_line_leads_to_one_server_in_the_clear() {
        check(&["nats://127.0.0.1:14222"], Some("127.0.0.1:14222"));
        check(&["nats://localhost"], Some("localhost:4222"));
        check(&["tls://127.0.0.1:4222"], None);
        check(&["nats://127.0.0.1:1", "nats://127.0.0.1:2"], None);
        check(&[], None);
    }
}
