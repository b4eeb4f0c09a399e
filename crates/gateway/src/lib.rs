//! The public port: REST/JSON, server-sent events and gRPC in front of the services.
//!
//! One listener speaks HTTP/1.1 and HTTP/2 with prior knowledge. A gRPC call passes to the service that its path names; anything else
//! is transcoded by the `google.api.http` rules of that service. What is served is Comanda's contract, and any other gRPC service that the
//! configuration or Consul names. The gateway itself answers gRPC health and reflection,
//! `/openapi.json`, `/docs`, `/healthz`, `/readyz` and `/metrics`.

#[cfg(test)]
extern crate self as gateway;

mod access;
mod apart;
mod catalog;
mod config;
mod connections;
mod docs;
mod drained;
mod edge;
mod error;
mod first_bytes;
mod front;
mod grpc;
mod metrics;
mod own;
mod readiness;
mod unread;

pub use catalog::{
    CatalogConfig, Configured, Directory, DiscoverConfig, ForeignServices, Found, ReflectionConfig, ServiceConfig,
    Watch,
};
pub use config::Config;
pub use edge::{AccessLogConfig, ClientCertificate, CompressionConfig, CorsConfig, TlsConfig, WebSocketConfig};
pub use error::Error;
pub use guard::{Certificate, Peer};
pub use messaging::JetStreamConfig;
pub use metrics::Metrics;
pub use readiness::{Check, Readiness, ReadinessProbe, State};

use crate::catalog::{Catalog, Control, Current, Keeper, Own, Settings};
use crate::connections::Port;
use crate::edge::{Edge, Tls};
use crate::front::Front;
use guard::Guard;
use lifecycle::{Drain, Tasks};
use rpc::{Upstream, Workers};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tracing::info;

/// Writes all metrics of the process in the OpenMetrics text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What the gateway stands on.
pub struct Deps {
    /// Where to listen; port 0 is any that is free.
    pub listen: SocketAddr,
    /// The services of Comanda's contract by their full names, such as `comanda.order.v1.OrderService`; another is passed through as it is.
    /// None: the contract is not served.
    pub upstreams: BTreeMap<&'static str, Upstream>,
    /// How NATS is reached, where answers that are kept for repeated calls are shared.
    pub jetstream: JetStreamConfig,
    /// The services that are not of the contract.
    pub foreign: ForeignServices,
    /// Where operators see what is served.
    pub directory: Directory,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// What `/readyz` answers.
    pub readiness: ReadinessProbe,
    /// What `/metrics` answers; `None` when metrics have a port of their own.
    pub metrics_text: Option<MetricsText>,
}

/// A gateway that runs. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Where it listens.
    pub local_address: SocketAddr,
    control: Control,
}

impl Gateway {
    /// Serves by another guard and other foreign services, those of `config`, from now on; whatever else it says counts when a gateway
    /// starts. Calls in flight go on as they began. `configured` has all services that `config` names; those of which nothing has changed
    /// are left alone, and one that is replaced is served until the other can be called.
    ///
    /// # Errors
    /// When a setting or a file of them cannot be used, or the port would be open to everybody by chance. Nothing has changed then.
    pub async fn change(&self, config: &Config, configured: Vec<Configured>) -> Result<(), Error> {
        let openness = config.check(self.local_address)?;
        let guard = self.control.guard.borrow().clone();
        let guard = guard.renewed(config.guard.clone()).await.map_err(Error::Guard)?;
        let (reply, answer) = oneshot::channel();
        let settings = Settings { guard, config: config.clone(), configured, reply };
        self.control.settings.send(settings).await.map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| Error::Ended)??;
        access::tell(openness, self.local_address);
        Ok(())
    }
}

/// Opens the port and serves it until the tasks are drained: new connections are refused then, calls in flight get
/// `drain_timeout_ms` to end, and streams are ended with UNAVAILABLE.
///
/// # Errors
/// When the port cannot be opened, or would be open to everybody by chance, a setting or a file of it cannot be used, or the contract cannot be
/// served.
pub async fn start(deps: Deps, config: Config, tasks: &mut Tasks) -> Result<Gateway, Error> {
    let openness = config.check(deps.listen)?;
    let guard = Guard::sharing(config.guard.clone(), access::defaults(), deps.metrics.guard(), &deps.jetstream);
    let guard = guard.await.map_err(Error::Guard)?;
    let listen = |source| Error::Listen { address: deps.listen, source };
    let listener = connections::listen(deps.listen).await.map_err(listen)?;
    let local_address = listener.local_addr().map_err(listen)?;

    let workers = workers(&config, &deps.upstreams)?;

    let drain = tasks.drain_request();
    let own = Own::new();
    let current = Arc::new(Current::new(Catalog::empty(&config.transcode, &guard, drain.clone())));
    let (reporter, health) = tonic_health::server::health_reporter();
    own.serve(health, &current);
    let mut base = vec![own.part()];
    if !deps.upstreams.is_empty() {
        let builtin = catalog::builtin(&deps.upstreams, &config.transcode)?;
        deps.directory.show_builtin(&builtin);
        base.push(builtin);
    }
    let directory = deps.directory;
    let shared = (current.clone(), directory.clone(), deps.metrics.catalog());
    let around = (guard, drain.clone());
    let (keeper, control) = Keeper::start(deps.foreign, base, shared, config.clone(), around).await?;
    catalog::report_health(&reporter, &current.now()).await;
    tasks.spawn("gateway-health", catalog::follow_health(reporter, current.clone(), drain.clone()));
    tasks.spawn("gateway-catalog", keeper.run());

    let front = Front {
        current,
        _own: own,
        own_endpoints: own::Endpoints::new(deps.readiness, deps.metrics_text, directory),
        metrics: deps.metrics,
    };
    tasks.spawn("gateway-keys", keep_fresh(control.guard.clone(), drain.clone()));
    let tls = config.tls.as_ref().map(Tls::load).transpose()?.map(|(tls, reload)| {
        tasks.spawn("gateway-certificate", reload.run(drain.clone()));
        tls
    });
    tasks.spawn(
        "gateway",
        connections::serve(Port { listener, tls, workers }, Edge::new(front, &config)?, config, drain),
    );
    info!(address = %local_address, "gateway started");
    access::tell(openness, local_address);
    Ok(Gateway { local_address, control })
}

/// Reads the keys of the guard again, whichever it is, until the drain is requested.
async fn keep_fresh(mut guard: watch::Receiver<Guard>, drain: Drain) {
    loop {
        let now = guard.borrow_and_update().clone();
        // Cancel safe, both: what cannot be read stays as it was, and a guard that nobody waits for is seen by the next wait.
        tokio::select! {
            () = now.keep_fresh(drain.clone()) => return,
            changed = guard.changed() => if changed.is_err() { return },
        }
    }
}

/// The threads on which connections are served, if these are not those of the process. A service of the same process stays on its threads.
fn workers(config: &Config, upstreams: &BTreeMap<&'static str, Upstream>) -> Result<Option<Workers>, Error> {
    let processors = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let is_alone = !upstreams.values().any(Upstream::is_in_process);
    let threads = config.threads.unwrap_or_else(|| if is_alone { processors() } else { 0 });
    NonZero::new(threads).map(Workers::start).transpose().map_err(Error::Threads)
}
