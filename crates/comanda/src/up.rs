//! `comanda up` and `comanda serve`: all roles, or some of them, in one process.

use crate::admin::{Admin, Pages, Port};
use crate::called_metrics::CalledMetrics;
use crate::config::Source;
use crate::greeting::{Addresses, Next, greeting};
use crate::presence::{Ports, Presence};
use crate::reload::{Reload, ReloadMetrics};
use crate::services_port::ServicesPort;
use crate::supervisor::Supervisor;
use crate::wire::Wiring;
use crate::{Config, Error, INTERRUPTED, readiness, sample};
use gateway::MetricsText;
use lifecycle::{Hangups, Signals, Tasks};
use prometheus_client::registry::Registry;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How much longer than a role the process may take to end: the roles are drained one after the other.
const ENDING_ROLES: u32 = 5;

/// Runs until a signal asks for the end. A second signal does not wait for what was begun.
pub(crate) async fn run(source: Source) -> Result<ExitCode, Error> {
    let config = source.load()?;
    telemetry::log::init(&config.log)?;
    let mut signals = Signals::listen().map_err(Error::Signals)?;
    // Without a file there is nothing that could be read again, and the signal means what it does to other programs.
    let hangups = source.file.is_some().then(Hangups::listen).transpose().map_err(Error::Signals)?;
    let _lock = if config.keeps_files() { Some(lock(&config.data_dir)?) } else { None };
    let mut tasks = Tasks::new();
    // Starting may take as long as a database is away; nothing is begun until then that would have to be finished.
    let presence = tokio::select! {
        started = start(&config, hangups.map(|hangups| (source, hangups)), &mut tasks) => started?,
        signal = signals.next() => {
            info!(signal, "ended before it was ready");
            return Ok(ExitCode::SUCCESS);
        }
    };
    info!(signal = signals.next().await, "ending; a second signal does not wait");
    let within = Duration::from_millis(config.drain_ms) * ENDING_ROLES;
    let end = async {
        // Who is not found any more is not called any more: only then nothing new is taken.
        presence.leave().await;
        match tasks.drain(within).await {
            Ok(()) => info!("ended"),
            Err(stuck) => warn!(error = %stuck, "ended by force"),
        }
    };
    tokio::select! {
        () = end => Ok(ExitCode::SUCCESS),
        signal = signals.next() => {
            warn!(signal, "ended at once");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// Starts the roles of this process and its ports, lets them be found, and greets.
async fn start(config: &Config, again: Option<(Source, Hangups)>, tasks: &mut Tasks) -> Result<Presence, Error> {
    let mut registry = Registry::with_prefix("comanda");
    let gateway_metrics = gateway::Metrics::register(&mut registry);
    let wiring = Arc::new(Wiring::new(config.clone(), &mut registry, tasks).await?);
    let called = CalledMetrics::register(&mut registry);
    let reload_metrics = ReloadMetrics::register(&mut registry);
    let metrics = exposition(registry, called, wiring.clone());
    let port = Port::bind(config.admin_listen).await?;
    let services = match config.rpc.listen {
        Some(address) => Some(ServicesPort::bind(address, &wiring, &config.roles).await?),
        None => None,
    };
    let admin = port.address;
    let (supervisor, control) =
        Supervisor::start(config.clone(), wiring.clone(), gateway_metrics, metrics.clone()).await?;
    if config.sample_data {
        sample::make(&wiring).await?;
    }
    let addresses =
        Addresses { public: supervisor.address(), admin, services: services.as_ref().map(|services| services.address) };
    let next = match config.is_bare_gateway() {
        true => Next::LookAtRoutes,
        false => Next::Order(sample::example(&wiring).await),
    };
    println!("{}", greeting(&addresses, &config.data(), config.gateway.guard.is_open(), &next));

    let ports = Ports { public: addresses.public, services: addresses.services, admin };
    let presence = Presence::announce(config, wiring.consul(), &ports, tasks)?;
    let drain = tasks.drain_request();
    if let Some((source, hangups)) = again {
        let (in_force, wiring, control) = (config.clone(), wiring.clone(), control.clone());
        let reload = Reload { source, hangups, in_force, control, wiring, metrics: reload_metrics };
        tasks.spawn("reload", reload.run(drain.clone()));
    }
    let operators = Admin::new(control, wiring.clone());
    let pages = Pages { metrics, directory: wiring.directory.clone(), readiness: readiness::probe(wiring) };
    tasks.spawn("admin", port.serve(operators, pages, drain.clone()));
    if let Some(services) = services {
        services.serve(tasks).await;
    }
    tasks.spawn("roles", supervisor.run(drain));
    Ok(presence)
}

fn exposition(registry: Registry, called: CalledMetrics, wiring: Arc<Wiring>) -> MetricsText {
    let registry = Arc::new(registry);
    Arc::new(move || {
        called.refresh(&wiring);
        telemetry::metrics::exposition(&registry).unwrap_or_else(|error| {
            warn!(%error, "metrics could not be written");
            String::new()
        })
    })
}

/// Makes the directory and takes it for this process; the lock goes with the process, however it ends.
fn lock(data_dir: &Path) -> Result<File, Error> {
    let failed = |source| Error::DataDir { path: data_dir.to_owned(), source };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let file = File::create(data_dir.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(data_dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
