//! The gateway as a program of its own in front of the backend, with all that it has: discovery, balancing, breakers, deadlines, retries.

use crate::Measured;
use crate::hello::{DESCRIPTORS, GREETER};
use clap::Args;
use gateway::{Deps, Readiness, State};
use lifecycle::{Signals, Tasks};
use prometheus_client::registry::Registry;
use rpc::Upstream;
use rpc::client::{ClientConfig, ClientMetrics, MethodConfig};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long calls may go on when it is asked to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The process that is our gateway.
#[derive(Debug, Clone, Args)]
pub(crate) struct OursArguments {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Where the service is.
    #[arg(long)]
    backend: SocketAddr,
}

/// Serves until a signal asks it to end.
pub(crate) async fn serve(arguments: &OursArguments) -> Measured<()> {
    let mut signals = Signals::listen()?;
    let mut registry = Registry::default();
    let reads = MethodConfig { may_repeat: true, ..MethodConfig::default() };
    let methods = ["Greet", "Count"].map(|method| (format!("/{GREETER}/{method}"), reads.clone()));
    let client = ClientConfig { methods: BTreeMap::from(methods), ..ClientConfig::default() };
    let endpoints = discovery::fixed(vec![arguments.backend]);
    let metrics = ClientMetrics::register(&mut registry);
    let upstream = Upstream::discovered("greeter", endpoints, &client, &metrics)?;
    let deps = Deps {
        listen: arguments.listen,
        contract: DESCRIPTORS,
        upstreams: BTreeMap::from([(GREETER, upstream)]),
        metrics: gateway::Metrics::register(&mut registry),
        readiness: Arc::new(|| Box::pin(async { Readiness { status: State::Ready, checks: Vec::new() } })),
        metrics_text: None,
    };
    let mut tasks = Tasks::new();
    gateway::start(deps, gateway::Config::default(), &mut tasks).await?;
    signals.next().await;
    Ok(tasks.drain(ENDS_WITHIN).await?)
}
