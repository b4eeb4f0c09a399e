//! Restarts the instances of a service in order, one after the other, while it is called; they are found through Consul.
//!
//! An instance that ends says so first, so nobody calls it any more when it stops listening: no call fails, and none is even made at a
//! process that has stopped.

use serde_json::{Value as Json, json};
use servers::{Consul, Nats, Postgres, free};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use testkit::{Http, Process, command_line, eventually};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How long processes may take to be found, on a busy machine.
const FOUND_WITHIN: Duration = Duration::from_secs(60);
/// How long an instance may take to end: others are given 2 s to hear of it, and its role 10 s to finish.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// Failures that are told of.
const COMPLAINTS_MAX: usize = 20;

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Restarts, over all instances in turn.
    pub restarts: usize,
    /// Instances of the service.
    pub instances: usize,
    /// Calls per second.
    pub per_second: u32,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Calls that were made.
    pub calls: usize,
    /// What was answered to those that failed, as far as it is kept.
    pub failed: Vec<String>,
    /// Attempts that were made at a process that had stopped, and moved to another one.
    pub misdirected: u64,
}

/// Consumer Services and a gateway, with what they need.
struct Site {
    consumers: Vec<(SocketAddr, Process)>,
    gateway: (SocketAddr, SocketAddr, Process),
    env: Vec<(String, String)>,
    folder: TempDir,
    _servers: (Postgres, Nats, Consul),
}

/// Restarts instances under load. `told` hears of each step.
///
/// # Errors
/// A sentence, when the run itself could not be made.
pub async fn run(options: &Options, mut told: impl FnMut(&str)) -> Result<Outcome, String> {
    let mut site = Site::start(options.instances).await?;
    site.finds(options.instances).await;
    let path = site.make_consumer().await;
    told("platform is ready");
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let mut load = JoinSet::new();
    load.spawn(call_steadily(
        Http::new(&format!("http://{}", site.gateway.0)),
        path,
        options.per_second,
        outcome.clone(),
    ));
    for number in 0..options.restarts {
        site.restart(number % options.instances).await;
        site.finds(options.instances).await;
        let failed = outcome.lock().unwrap_or_else(PoisonError::into_inner).failed.len();
        told(&format!("restart {:>3}, {failed} calls failed so far", number + 1));
    }
    load.shutdown().await;
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).clone();
    outcome.misdirected = site.misdirected().await?;
    Ok(outcome)
}

impl Site {
    async fn start(instances: usize) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let (postgres, nats, consul) = (Postgres::start().await, Nats::start().await, Consul::start().await);
        let setting = |name: &str, value: String| (format!("COMANDA_{name}"), value);
        let env = vec![
            setting("STORES__KIND", "postgres".to_owned()),
            setting("STORES__CONSUMER__URL", postgres.database().await),
            setting("BUS__KIND", "jetstream".to_owned()),
            setting("BUS__JETSTREAM__SERVERS", format!("[{:?}]", nats.url())),
            setting("CONSUL__AGENTS", format!("[{:?}]", consul.url())),
            setting("PRESENCE__CHECK__INTERVAL_MS", "1000".to_owned()),
        ];
        let mut consumers = Vec::new();
        for number in 0..instances {
            let address = free::address();
            consumers.push((address, consumer(folder.path(), number, address, &env)));
        }
        let (public, admin) = (free::address(), free::address());
        let (listen, admin_listen) = (public.to_string(), admin.to_string());
        let arguments = ["serve", "gateway", "--listen", &listen, "--admin-listen", &admin_listen];
        let gateway = Process::spawn(&made(folder.path(), "gateway"), &arguments, &env);
        Ok(Site { consumers, gateway: (public, admin, gateway), env, folder, _servers: (postgres, nats, consul) })
    }

    /// Waits until the gateway is connected to so many instances.
    async fn finds(&self, instances: usize) {
        let admin = format!("http://{}", self.gateway.1);
        eventually(FOUND_WITHIN, async || {
            let said = command_line(&["endpoints", "--json", "--admin", &admin]).await;
            let services: Json = serde_json::from_str(&said.stdout).map_err(|error| format!("{error}: {said:?}"))?;
            let connected = services.as_array().into_iter().flatten().filter(|service| service["name"] == "consumer");
            let endpoints = connected.filter_map(|service| service["endpoints"].as_array()).flatten();
            let connected = endpoints.filter(|endpoint| endpoint["isConnected"] == true).count();
            if connected == instances {
                Ok(())
            } else {
                Err(format!("{connected} of {instances} are connected: {services}"))
            }
        })
        .await;
    }

    /// Makes a consumer, and tells the path at which it is read.
    async fn make_consumer(&self) -> String {
        let body = json!({"name": "Ada", "orderLimit": {"currencyCode": "GBP", "units": "100"}});
        let made =
            Http::new(&format!("http://{}", self.gateway.0)).post("/v1/consumers", &body).send().await.expect(201);
        format!("/v1/consumers/{}", made["consumerId"].as_str().unwrap_or_default())
    }

    async fn restart(&mut self, number: usize) {
        let (address, process) = &mut self.consumers[number];
        process.signal(rustix::process::Signal::TERM);
        process.wait(ENDS_WITHIN).await;
        *process = consumer(self.folder.path(), number, *address, &self.env);
    }

    /// What the gateway counted of attempts that another endpoint had to take over.
    async fn misdirected(&self) -> Result<u64, String> {
        let metrics = Http::new(&format!("http://{}", self.gateway.1)).get("/metrics").try_send().await?.text();
        let lines = metrics.lines().filter(|line| line.starts_with("comanda_rpc_client_attempts_total"));
        let moved = lines.filter(|line| line.contains("\"consumer\"") && line.contains("\"moved\""));
        let counts = moved.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(counts.sum())
    }
}

fn consumer(folder: &Path, number: usize, address: SocketAddr, env: &[(String, String)]) -> Process {
    let mut env = env.to_vec();
    env.push(("COMANDA_RPC__LISTEN".to_owned(), address.to_string()));
    let arguments = ["serve", "consumer", "--admin-listen", "127.0.0.1:0"];
    Process::spawn(&made(folder, &format!("consumer-{number}")), &arguments, &env)
}

fn made(folder: &Path, name: &str) -> std::path::PathBuf {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).expect("a folder below a temporary one");
    folder
}

async fn call_steadily(http: Http, path: String, per_second: u32, outcome: Arc<Mutex<Outcome>>) {
    let mut ticks = interval(Duration::from_secs(1) / per_second.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    loop {
        ticks.tick().await;
        while calls.try_join_next().is_some() {}
        let (call, outcome) = (http.get(path.clone()), outcome.clone());
        calls.spawn(async move {
            let complaint = match call.try_send().await {
                Ok(answer) if answer.status == 200 => None,
                Ok(answer) => Some(format!("{}: {}", answer.status, answer.text())),
                Err(complaint) => Some(complaint),
            };
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.calls += 1;
            if outcome.failed.len() < COMPLAINTS_MAX {
                outcome.failed.extend(complaint);
            }
        });
    }
}
