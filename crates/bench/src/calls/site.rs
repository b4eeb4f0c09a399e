//! Three endpoints, and how they are found.

use super::backend::Backend;
use crate::Measured;
use clap::ValueEnum;
use discovery::{Consul, ConsulConfig, DnsConfig, DnsRecords, Endpoints, Registered, Registration};
use lifecycle::Tasks;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// What the endpoints are registered as.
const SERVICE: &str = "work";
/// How long it may take until all of them are found, and until tasks have ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// How endpoints are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// By a list.
    Fixed,
    /// By SRV records, of a Consul agent that is asked as any DNS server is.
    Dns,
}

/// Three endpoints.
pub(crate) struct Site {
    pub(crate) backends: Vec<Backend>,
    pub(crate) endpoints: Endpoints,
    pub(crate) agent: Option<servers::Consul>,
    tasks: Tasks,
    _registered: Vec<Registered>,
}

impl Site {
    pub(crate) async fn open(source: Source) -> Measured<Self> {
        let backends = start_three().await?;
        match source {
            Source::Fixed => {
                let endpoints = discovery::fixed(addresses(&backends));
                Ok(Site { backends, endpoints, agent: None, tasks: Tasks::new(), _registered: Vec::new() })
            }
            Source::Dns => {
                let (agent, mut tasks) = (servers::Consul::start().await, Tasks::new());
                let (_, registered) = register(&agent, &backends, &mut tasks).await?;
                let config = DnsConfig {
                    name: format!("{SERVICE}.service.consul."),
                    records: DnsRecords::Srv,
                    servers: vec![agent.dns()],
                    ..DnsConfig::default()
                };
                let endpoints = all(discovery::dns(&mut tasks, config)?).await?;
                Ok(Site { backends, endpoints, agent: Some(agent), tasks, _registered: registered })
            }
        }
    }

    /// Found by a watch of Consul.
    pub(crate) async fn watched() -> Measured<Self> {
        let (backends, agent, mut tasks) = (start_three().await?, servers::Consul::start().await, Tasks::new());
        let (consul, registered) = register(&agent, &backends, &mut tasks).await?;
        let endpoints = all(consul.watch(&mut tasks, SERVICE)).await?;
        Ok(Site { backends, endpoints, agent: Some(agent), tasks, _registered: registered })
    }

    pub(crate) async fn close(self) -> Measured<()> {
        Ok(self.tasks.drain(PATIENCE).await?)
    }
}

async fn start_three() -> Measured<Vec<Backend>> {
    Ok(vec![Backend::start().await?, Backend::start().await?, Backend::start().await?])
}

fn addresses(backends: &[Backend]) -> Vec<SocketAddr> {
    backends.iter().map(|backend| backend.address).collect()
}

async fn register(
    agent: &servers::Consul,
    backends: &[Backend],
    tasks: &mut Tasks,
) -> Measured<(Consul, Vec<Registered>)> {
    let consul = Consul::new(ConsulConfig { agents: vec![agent.url()], ..ConsulConfig::default() })?;
    let mut registered = Vec::new();
    for address in addresses(backends) {
        let mut registration = Registration::new(SERVICE, address);
        registration.config.interval_ms = 1_000;
        let mut one = consul.register(tasks, registration)?;
        one.registered().await?;
        registered.push(one);
    }
    Ok((consul, registered))
}

/// Waits until all three are found.
async fn all(mut endpoints: Endpoints) -> Measured<Endpoints> {
    let is_complete = async {
        while endpoints.now().endpoints.len() < 3 {
            endpoints.changed().await?;
        }
        Ok::<(), discovery::Gone>(())
    };
    timeout(PATIENCE, is_complete).await??;
    Ok(endpoints)
}
