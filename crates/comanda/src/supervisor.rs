//! Starts, stops and watches the roles of this process.
//!
//! One task owns all of them, so that two operators cannot start a role twice. A role whose task ends although nobody asked is drained
//! and started again: what it had begun is in its database, and goes on from there.

use crate::readiness;
use crate::wire::{Running, Wiring};
use crate::{Config, Error, Role};
use futures_util::future::select_all;
use gateway::{Gateway, MetricsText};
use lifecycle::{Drain, Ended};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::{error, info, warn};

/// Requests that wait for the supervisor at most; operators are few.
const REQUESTS_MAX: usize = 16;
/// The pause before a role that failed is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);

type Reply<T> = oneshot::Sender<Result<T, Error>>;

enum Request {
    List(oneshot::Sender<Vec<(Role, bool)>>),
    Start(Role, Reply<()>),
    Stop(Role, oneshot::Sender<()>),
    Gateway(oneshot::Sender<Option<Gateway>>),
    Configure(Box<Config>, oneshot::Sender<()>),
}

/// Asks the supervisor. Clones ask the same one.
#[derive(Debug, Clone)]
pub(crate) struct Control(mpsc::Sender<Request>);

impl Control {
    /// The roles that this process was started with, and whether they run.
    pub(crate) async fn list(&self) -> Option<Vec<(Role, bool)>> {
        self.ask(Request::List).await
    }

    pub(crate) async fn start(&self, role: Role) -> Option<Result<(), Error>> {
        self.ask(|reply| Request::Start(role, reply)).await
    }

    pub(crate) async fn stop(&self, role: Role) -> Option<()> {
        self.ask(|reply| Request::Stop(role, reply)).await
    }

    /// The gateway, if it runs here.
    pub(crate) async fn gateway(&self) -> Option<Gateway> {
        self.ask(Request::Gateway).await.flatten()
    }

    /// Has roles started by other settings from now on.
    pub(crate) async fn configure(&self, config: Config) -> Option<()> {
        self.ask(|reply| Request::Configure(Box::new(config), reply)).await
    }

    /// `None` when the supervisor has ended.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.send(request(reply)).await.ok()?;
        answer.await.ok()
    }
}

/// Owns the roles.
pub(crate) struct Supervisor {
    config: Config,
    wiring: Arc<Wiring>,
    gateway_metrics: gateway::Metrics,
    metrics_text: MetricsText,
    running: BTreeMap<Role, Running>,
    requests: mpsc::Receiver<Request>,
    /// The one that runs, or the last that did.
    gateway: Option<Gateway>,
}

impl Supervisor {
    /// Starts the roles of the configuration.
    pub(crate) async fn start(
        config: Config,
        wiring: Arc<Wiring>,
        gateway_metrics: gateway::Metrics,
        metrics_text: MetricsText,
    ) -> Result<(Self, Control), Error> {
        let (control, requests) = mpsc::channel(REQUESTS_MAX);
        let running = BTreeMap::new();
        let mut supervisor =
            Supervisor { config, wiring, gateway_metrics, metrics_text, running, requests, gateway: None };
        for role in Role::ALL {
            if supervisor.config.roles.contains(&role) {
                supervisor.start_role(role).await?;
            }
        }
        Ok((supervisor, Control(control)))
    }

    /// Where the gateway listens, if it runs here.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.gateway.as_ref().map(|gateway| gateway.local_address)
    }

    /// Serves requests and watches the roles until `drain` is requested; then stops them, the gateway first.
    pub(crate) async fn run(mut self, drain: Drain) {
        loop {
            tokio::select! {
                () = drain.requested() => break,
                Some(request) = self.requests.recv() => self.serve(request).await,
                (role, ended) = next_ended(&mut self.running) => self.restart(role, ended).await,
            }
        }
        for role in Role::ALL.into_iter().rev() {
            self.stop_role(role).await;
        }
    }

    async fn serve(&mut self, request: Request) {
        match request {
            Request::List(reply) => {
                let roles = Role::ALL.into_iter().filter(|role| self.config.roles.contains(role));
                answer(reply, roles.map(|role| (role, self.running.contains_key(&role))).collect());
            }
            Request::Start(role, reply) => answer(reply, self.start_role(role).await),
            Request::Stop(role, reply) => {
                self.stop_role(role).await;
                answer(reply, ());
            }
            Request::Gateway(reply) => {
                let gateway = self.gateway.clone().filter(|_| self.running.contains_key(&Role::Gateway));
                answer(reply, gateway);
            }
            Request::Configure(config, reply) => {
                self.config = *config;
                answer(reply, ());
            }
        }
    }

    async fn start_role(&mut self, role: Role) -> Result<(), Error> {
        if self.running.contains_key(&role) {
            return Ok(());
        }
        let mut running = self.wiring.start(role).await?;
        if role == Role::Gateway {
            self.open_gateway(&mut running).await?;
        }
        self.running.insert(role, running);
        info!(role = role.name(), "role started");
        Ok(())
    }

    async fn open_gateway(&mut self, running: &mut Running) -> Result<(), Error> {
        let foreign = self.wiring.foreign(&self.config.gateway, &mut running.tasks)?;
        let deps = gateway::Deps {
            // A gateway that was stopped comes back where it was, also when its port was chosen by the system.
            listen: self.address().unwrap_or(self.config.listen),
            upstreams: self.wiring.services(),
            jetstream: self.config.bus.jetstream.clone(),
            foreign,
            directory: self.wiring.directory.clone(),
            metrics: self.gateway_metrics.clone(),
            readiness: readiness::probe(self.wiring.clone()),
            metrics_text: Some(self.metrics_text.clone()),
        };
        let failed = |source: gateway::Error| Error::Start { role: Role::Gateway, source: Box::new(source) };
        let gateway = gateway::start(deps, self.config.gateway.clone(), &mut running.tasks).await.map_err(failed)?;
        self.gateway = Some(gateway);
        Ok(())
    }

    async fn stop_role(&mut self, role: Role) {
        let Some(running) = self.running.remove(&role) else { return };
        self.wiring.unplug(role);
        let within = Duration::from_millis(self.config.drain_ms);
        match running.tasks.drain(within).await {
            Ok(()) => info!(role = role.name(), "role stopped"),
            Err(stuck) => warn!(role = role.name(), error = %stuck, "role stopped by force"),
        }
    }

    async fn restart(&mut self, role: Role, ended: Ended) {
        error!(
            role = role.name(),
            task = ended.name,
            panicked = ended.panicked,
            "task ended unasked; the role is restarted"
        );
        self.stop_role(role).await;
        sleep(RESTART_AFTER).await;
        if let Err(error) = self.start_role(role).await {
            error!(role = role.name(), error = &error as &dyn std::error::Error, "role could not be restarted");
        }
    }
}

/// Whoever asked and went away has lost the answer and nothing else.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    reply.send(value).ok();
}

/// Waits for any task of any role to end. Cancel safe: an end is not missed.
async fn next_ended(running: &mut BTreeMap<Role, Running>) -> (Role, Ended) {
    let ends = running.iter_mut().map(|(role, running)| {
        Box::pin(async move {
            match running.tasks.next_ended().await {
                Some(ended) => (*role, ended),
                None => std::future::pending().await,
            }
        })
    });
    let ends: Vec<_> = ends.collect();
    if ends.is_empty() {
        return std::future::pending().await;
    }
    select_all(ends).await.0
}
