//! A distributed platform under test: PostgreSQL, NATS, and one process of the real binary for each role.

use crate::{Finished, Http, Process, Rpc, command_line_with, eventually};
use rustix::process::Signal;
use serde_json::Value as Json;
use servers::{Consul, Nats, Postgres, Proxy, free};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// How long all processes may take until the platform is ready: databases are created and migrated meanwhile, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a process may take to end when it is asked to: its roles are given 10 s each to drain.
const END_WITHIN: Duration = Duration::from_secs(60);

/// One process of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// The Consumer Service.
    Consumer,
    /// The Restaurant Service.
    Restaurant,
    /// The Order Service.
    Order,
    /// A relay of its own; there may be several.
    Relay(u8),
    /// The gateway.
    Gateway,
}

impl Member {
    fn role(self) -> &'static str {
        match self {
            Member::Consumer => "consumer",
            Member::Restaurant => "restaurant",
            Member::Order => "order",
            Member::Relay(_) => "relay",
            Member::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Member::Relay(number) => write!(f, "relay-{number}"),
            Member::Consumer | Member::Restaurant | Member::Order | Member::Gateway => f.write_str(self.role()),
        }
    }
}

/// How to start a platform.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// Separate relays.
    pub relays: u8,
    /// NATS servers: 1 (also for 0) or 3.
    pub nats: usize,
    /// The processes find each other through Consul, instead of being told addresses.
    pub consul: bool,
    /// Further lines in the configuration file of a single NATS server, such as its users.
    pub nats_settings: String,
    /// Settings of all processes from the environment, such as `COMANDA_ORDER__REPLICA_WAIT_MS`.
    pub env: Vec<(String, String)>,
    /// Settings of the processes of one role, in addition or instead.
    pub env_of_role: Vec<(&'static str, String, String)>,
}

/// A platform of many processes. All of them are killed when it is dropped.
#[derive(Debug)]
pub struct Stack {
    processes: BTreeMap<Member, Process>,
    addresses: BTreeMap<Member, Addresses>,
    env: Vec<(String, String)>,
    env_of_role: Vec<(&'static str, String, String)>,
    databases: BTreeMap<&'static str, String>,
    /// The line between the platform and the first NATS server.
    pub line: Proxy,
    /// The broker.
    pub nats: Nats,
    /// The databases.
    pub postgres: Postgres,
    /// The agent, if processes find each other through one.
    pub consul: Option<Consul>,
    folder: TempDir,
}

/// Where a process listens; the same after a restart.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    /// For clients or other processes.
    serving: SocketAddr,
    admin: SocketAddr,
}

impl Stack {
    /// Starts servers and all processes, and waits until orders can be placed.
    ///
    /// # Panics
    /// When the platform is not ready within a minute.
    pub async fn start(options: &StackOptions) -> Self {
        let stack = Stack::start_servers(options).await;
        stack.start_processes(options).await
    }

    async fn start_servers(options: &StackOptions) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let postgres = Postgres::start().await;
        let nats = match options.nats {
            0 | 1 => Nats::start_with(&options.nats_settings).await,
            size => Nats::cluster(size).await,
        };
        let line = Proxy::start(nats.address()).await;
        let consul = if options.consul { Some(Consul::start().await) } else { None };
        let mut databases = BTreeMap::new();
        for name in ["order", "consumer", "restaurant"] {
            databases.insert(name, postgres.database().await);
        }
        Stack {
            processes: BTreeMap::new(),
            addresses: BTreeMap::new(),
            env: Vec::new(),
            env_of_role: options.env_of_role.clone(),
            databases,
            line,
            nats,
            postgres,
            consul,
            folder,
        }
    }

    async fn start_processes(mut self, options: &StackOptions) -> Self {
        let relays = (1..=options.relays).map(Member::Relay);
        let members: Vec<Member> = [Member::Consumer, Member::Restaurant, Member::Order]
            .into_iter()
            .chain(relays)
            .chain([Member::Gateway])
            .collect();
        for member in &members {
            self.addresses.insert(*member, Addresses { serving: free::address(), admin: free::address() });
        }
        self.env = self.settings(options);
        for member in members {
            self.spawn(member);
        }
        self.wait_until_ready().await;
        self
    }

    fn settings(&self, options: &StackOptions) -> Vec<(String, String)> {
        let servers = if options.nats > 1 { self.nats.urls() } else { vec![format!("nats://{}", self.line.address())] };
        let servers: Vec<String> = servers.iter().map(|url| format!("{url:?}")).collect();
        let mut env = vec![
            ("COMANDA_STORES__KIND".to_owned(), "postgres".to_owned()),
            ("COMANDA_BUS__KIND".to_owned(), "jetstream".to_owned()),
            ("COMANDA_BUS__JETSTREAM__SERVERS".to_owned(), format!("[{}]", servers.join(","))),
            // A restaurant is ordered from as soon as it is made, on a busy machine.
            ("COMANDA_ORDER__REPLICA_WAIT_MS".to_owned(), "10000".to_owned()),
        ];
        for (name, url) in &self.databases {
            env.push((format!("COMANDA_STORES__{}__URL", name.to_uppercase()), url.clone()));
        }
        match &self.consul {
            Some(consul) => {
                env.push(("COMANDA_CONSUL__AGENTS".to_owned(), format!("[{:?}]", consul.url())));
                env.push(("COMANDA_PRESENCE__CHECK__INTERVAL_MS".to_owned(), "1000".to_owned()));
            }
            None => {
                for member in [Member::Consumer, Member::Restaurant, Member::Order] {
                    let name = format!("COMANDA_UPSTREAMS__{}", member.role().to_uppercase());
                    env.push((name, format!("http://{}", self.addresses[&member].serving)));
                }
            }
        }
        env.extend(options.env.iter().cloned());
        env
    }

    /// Waits until an order could be placed.
    ///
    /// # Panics
    /// When that takes longer than a minute.
    pub async fn wait_until_ready(&self) {
        for (member, addresses) in &self.addresses {
            let http = Http::new(&format!("http://{}", addresses.admin));
            eventually(READY_WITHIN, async || match http.get("/readyz").try_send().await {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("{member} is not ready: {}", answer.text())),
                Err(complaint) => Err(format!("{member}: {complaint}")),
            })
            .await;
        }
    }

    /// Where clients reach the gateway.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses[&Member::Gateway].serving)
    }

    /// Where operators reach a process.
    #[must_use]
    pub fn admin_url(&self, member: Member) -> String {
        format!("http://{}", self.addresses[&member].admin)
    }

    /// The URL of a service's database.
    #[must_use]
    pub fn database(&self, service: &str) -> &str {
        &self.databases[service]
    }

    /// The processes of the platform.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.addresses.keys().copied()
    }

    /// An HTTP client of the gateway.
    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(&self.url())
    }

    /// gRPC clients of the gateway.
    #[must_use]
    pub fn rpc(&self) -> Rpc {
        Rpc::new(&self.url())
    }

    /// The settings that all processes are given.
    #[must_use]
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Ends a process with SIGKILL.
    pub fn kill9(&mut self, member: Member) {
        if let Some(mut process) = self.processes.remove(&member) {
            process.kill9();
        }
    }

    /// Starts a process that was ended, on its old addresses; does not wait until it is ready.
    pub fn spawn(&mut self, member: Member) {
        let Addresses { serving, admin } = self.addresses[&member];
        let (serving, admin) = (serving.to_string(), admin.to_string());
        let mut arguments = vec!["serve", member.role(), "--admin-listen", &admin];
        let mut env = self.env.clone();
        let own = self.env_of_role.iter().filter(|(role, ..)| *role == member.role());
        env.extend(own.map(|(_, name, value)| (name.clone(), value.clone())));
        match member {
            Member::Gateway => arguments.extend(["--listen", &serving]),
            Member::Consumer | Member::Restaurant | Member::Order | Member::Relay(_) => {
                env.push(("COMANDA_RPC__LISTEN".to_owned(), serving.clone()));
            }
        }
        let folder = self.log_folder(member);
        std::fs::create_dir_all(&folder).expect("a folder below a temporary one");
        self.processes.insert(member, Process::spawn(&folder, &arguments, &env));
    }

    /// Asks a process to end, and waits for that.
    ///
    /// # Panics
    /// When it has not ended within a minute.
    pub async fn terminate(&mut self, member: Member) -> Option<Finished> {
        let mut process = self.processes.remove(&member)?;
        process.signal(Signal::TERM);
        Some(process.wait(END_WITHIN).await)
    }

    /// Stops a process where it is, as a long pause of its machine would.
    pub fn pause(&self, member: Member) {
        if let Some(process) = self.processes.get(&member) {
            process.signal(Signal::STOP);
        }
    }

    /// Lets a paused process go on.
    pub fn resume(&self, member: Member) {
        if let Some(process) = self.processes.get(&member) {
            process.signal(Signal::CONT);
        }
    }

    /// The id of a process that runs.
    #[must_use]
    pub fn process_id(&self, member: Member) -> Option<u32> {
        self.processes.get(&member).map(Process::id)
    }

    /// Processes that have ended by themselves.
    pub fn fallen(&mut self) -> Vec<Member> {
        self.processes.iter_mut().filter_map(|(member, process)| process.ended().map(|_| *member)).collect()
    }

    /// What a process has logged since the first start.
    #[must_use]
    pub fn log(&self, member: Member) -> String {
        std::fs::read_to_string(self.log_folder(member).join("stderr.log")).unwrap_or_default()
    }

    fn log_folder(&self, member: Member) -> PathBuf {
        self.folder.path().join(member.to_string())
    }

    /// Runs `comanda verify` on the databases: the exit code, and what it found.
    ///
    /// # Panics
    /// When it prints no JSON.
    pub async fn verify(&self) -> (Option<i32>, Json) {
        let done = command_line_with(&["verify", "--json"], &self.env).await;
        let report = serde_json::from_str(&done.stdout);
        (done.code, report.unwrap_or_else(|error| panic!("verify printed no JSON: {error}: {done:?}")))
    }
}
