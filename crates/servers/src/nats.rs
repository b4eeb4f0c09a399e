//! NATS with JetStream: one server, or a cluster.

use crate::server::Server;
use crate::{free, probe};
use programs::Program;
use rustix::process::Signal;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Above what NATS takes by default (1 MB), since a message may carry a whole menu of 3 MiB.
const MAX_PAYLOAD: &str = "8MB";

/// A broker of one or more servers, which keep their ports and data over restarts.
#[derive(Debug)]
pub struct Nats {
    nodes: Vec<Node>,
    folder: TempDir,
}

#[derive(Debug)]
struct Node {
    name: String,
    clients: SocketAddr,
    monitor: SocketAddr,
    routes: SocketAddr,
    server: Option<Server>,
}

impl Nats {
    /// Whether the program is there. If not, a line on standard output says that the test is skipped, which it does by returning.
    ///
    /// # Panics
    /// When it is missing and `COMANDA_TEST_FORBID_SKIP` is 1.
    #[must_use]
    pub fn require() -> bool {
        Program::NatsServer.require()
    }

    /// One server for all tests of this process.
    pub async fn shared() -> &'static Nats {
        static SHARED: OnceCell<Nats> = OnceCell::const_new();
        SHARED.get_or_init(Nats::start).await
    }

    /// Starts one server.
    pub async fn start() -> Self {
        Nats::start_with("").await
    }

    /// Starts one server with further lines in its configuration file.
    pub async fn start_with(settings: &str) -> Self {
        Nats::launch(1, settings).await
    }

    /// Starts a cluster, and waits until it has a leader.
    pub async fn cluster(size: usize) -> Self {
        Nats::launch(size, "").await
    }

    /// What the first server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self.folder.path().join(format!("{}.log", self.nodes[0].name));
        String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
    }

    async fn launch(size: usize, settings: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let node = |number: usize| {
            let [clients, monitor, routes] = [free::address(), free::address(), free::address()];
            Node { name: format!("n{number}"), clients, monitor, routes, server: None }
        };
        let mut nats = Nats { nodes: (1..=size).map(node).collect(), folder };
        nats.write_configurations(settings);
        nats.restart().await;
        nats
    }

    fn write_configurations(&self, settings: &str) {
        let routes: Vec<String> = self.nodes.iter().map(|node| format!("\"nats://{}\"", node.routes)).collect();
        for node in &self.nodes {
            let Node { name, clients, monitor, .. } = node;
            let store = self.store(node);
            let mut text = format!(
                "server_name: {name}\nlisten: \"{clients}\"\nhttp: \"{monitor}\"\nmax_payload: {MAX_PAYLOAD}\n\
                 jetstream {{ store_dir: {store:?}, max_mem: 1GB, max_file: 100GB }}\n"
            );
            if self.nodes.len() > 1 {
                let (listen, routes) = (node.routes, routes.join(", "));
                writeln!(text, "cluster {{ name: test, listen: \"{listen}\", routes: [{routes}] }}")
                    .expect("text can be written to memory");
            }
            text.push_str(settings);
            std::fs::write(self.configuration(node), text).expect("a temporary folder can be written");
        }
    }

    fn configuration(&self, node: &Node) -> PathBuf {
        self.folder.path().join(format!("{}.conf", node.name))
    }

    fn store(&self, node: &Node) -> PathBuf {
        self.folder.path().join(&node.name)
    }

    /// The URL of the first server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The URLs of all servers.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("nats://{}", node.clients)).collect()
    }

    /// Where the first server listens for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.nodes[0].clients
    }

    /// Where the first server tells about itself over HTTP.
    #[must_use]
    pub fn monitor(&self) -> SocketAddr {
        self.nodes[0].monitor
    }

    /// The process id of a server, from 0, that runs.
    #[must_use]
    pub fn pid(&self, node: usize) -> Option<u32> {
        self.nodes.get(node)?.server.as_ref().map(Server::id)
    }

    /// Ends all servers with SIGKILL.
    pub fn kill9(&mut self) {
        for node in &mut self.nodes {
            node.server = None;
        }
    }

    /// Ends one server, from 0, with SIGKILL.
    pub fn kill_node(&mut self, node: usize) {
        self.nodes[node].server = None;
    }

    /// Starts the servers that do not run, on their old data, and waits until the broker is ready.
    pub async fn restart(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].server.as_mut().is_none_or(Server::has_ended) {
                let node = &self.nodes[index];
                let mut command = Command::new(Program::NatsServer.path());
                command.arg("--config").arg(self.configuration(node));
                let server = Server::start(command, self.folder.path(), &format!("{}.log", node.name));
                self.nodes[index].server = Some(server);
            }
        }
        probe::until("NATS", async || self.is_ready().await).await;
    }

    async fn is_ready(&self) -> bool {
        for node in &self.nodes {
            if probe::page(node.monitor, "/healthz").await.is_none() {
                return false;
            }
        }
        let has_leader =
            |jsz: &str| jsz.split("\"leader\":").nth(1).is_some_and(|rest| !rest.trim_start().starts_with("\"\""));
        self.nodes.len() == 1 || probe::page(self.nodes[0].monitor, "/jsz").await.is_some_and(|jsz| has_leader(&jsz))
    }

    /// Ends all servers with SIGKILL and starts them with nothing in their directories.
    pub async fn wipe_and_restart(&mut self) {
        self.kill9();
        for node in &self.nodes {
            // What was never written need not be removed.
            drop(std::fs::remove_dir_all(self.store(node)));
        }
        self.restart().await;
    }

    /// Stops all servers where they are.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets paused servers go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        for server in self.nodes.iter().filter_map(|node| node.server.as_ref()) {
            server.signal(signal);
        }
    }
}
