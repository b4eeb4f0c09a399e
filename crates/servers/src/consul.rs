//! One Consul agent that is its own server.

use crate::server::Server;
use crate::{free, probe};
use programs::Program;
use std::net::SocketAddr;
use std::process::Command;
use tempfile::TempDir;

/// An agent, which keeps its ports and data over restarts.
#[derive(Debug)]
pub struct Consul {
    http: SocketAddr,
    ports: [u16; 4],
    server: Option<Server>,
    folder: TempDir,
}

impl Consul {
    /// Starts an agent and waits until it has a leader.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let ports = [free::address(), free::address(), free::address(), free::address()].map(|address| address.port());
        let mut consul = Consul { http: free::address(), ports, server: None, folder };
        consul.restart().await;
        consul
    }

    /// Where it answers over HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Ends it with SIGKILL.
    pub fn kill9(&mut self) {
        self.server = None;
    }

    /// Starts it again on its old data, and waits until it has a leader.
    pub async fn restart(&mut self) {
        let [serf_lan, serf_wan, server, grpc] = self.ports;
        let mut command = Command::new(Program::Consul.path());
        command.args(["agent", "-server", "-bootstrap-expect=1", "-bind=127.0.0.1", "-client=127.0.0.1"]);
        command.arg(format!("-data-dir={}", self.folder.path().join("data").display()));
        command.arg(format!("-http-port={}", self.http.port())).arg(format!("-grpc-port={grpc}")).arg("-dns-port=-1");
        command.arg(format!("-serf-lan-port={serf_lan}")).arg(format!("-serf-wan-port={serf_wan}"));
        command.arg(format!("-server-port={server}"));
        self.server = Some(Server::start(command, self.folder.path(), "consul.log"));
        let has_leader = |leader: String| leader.trim().trim_matches('"').contains(':');
        probe::until("Consul", async || probe::page(self.http, "/v1/status/leader").await.is_some_and(has_leader))
            .await;
    }
}
