//! A Consul agent that is its own server, with ACLs and TLS if they are asked for, and agents that join it.

mod setup;

use crate::server::Server;
use crate::{free, probe};
use programs::Program;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The token of an agent with ACLs that may do everything.
const ROOT_TOKEN: &str = "11111111-2222-3333-4444-555555555555";

/// How often it is started when it ends at once, since a port that was free has been taken.
const STARTS_MAX: usize = 5;

/// An agent, which keeps its ports and data over restarts.
#[derive(Debug)]
pub struct Consul {
    http: SocketAddr,
    https: SocketAddr,
    dns: SocketAddr,
    serf: u16,
    settings: String,
    with_tls: bool,
    root_token: Option<&'static str>,
    files: Vec<PathBuf>,
    /// The folder of its certificates.
    tls: PathBuf,
    server: Option<Server>,
    folder: TempDir,
}

/// What an agent is started with.
#[derive(Debug, Default)]
pub struct ConsulSetup {
    /// Configuration files that stand before the one with the ports of the test, which so may override them.
    pub files: Vec<PathBuf>,
    /// Further settings, as HCL, after all files.
    pub settings: String,
    /// Whether nobody may do anything without a token.
    pub with_acls: bool,
    /// Whether it listens for TLS as well, and asks clients for a certificate. The keys are EC, as Consul makes them.
    pub with_tls: bool,
}

impl Consul {
    /// Whether the program is there. If not, a line on standard output says that the test is skipped, which it does by returning.
    ///
    /// # Panics
    /// When it is missing and `COMANDA_TEST_FORBID_SKIP` is 1.
    #[must_use]
    pub fn require() -> bool {
        Program::Consul.require()
    }

    /// One agent for all tests of this process.
    pub async fn shared() -> &'static Consul {
        static SHARED: OnceCell<Consul> = OnceCell::const_new();
        SHARED.get_or_init(Consul::start).await
    }

    /// Starts an agent and waits until it has a leader.
    pub async fn start() -> Self {
        Consul::start_with(ConsulSetup::default()).await
    }

    /// Starts an agent that is set up in another way, and waits until it has a leader.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_with(setup: ConsulSetup) -> Self {
        let ConsulSetup { files, settings, with_acls, with_tls } = setup;
        let mut consul = Consul::new(files, with_acls.then_some(ROOT_TOKEN));
        let mut text = "server = true\nbootstrap_expect = 1\n".to_owned();
        if let Some(token) = consul.root_token {
            text += &setup::acl(token, token);
        }
        if with_tls {
            setup::make_certificates(&consul.tls);
            text += &setup::encryption(&consul.tls, "dc1-server-consul-0");
        }
        consul.settings = text + &settings;
        consul.with_tls = with_tls;
        consul.start_first().await;
        consul
    }

    /// Starts an agent that is no server and joins this one, whose authority and root token it shares, with a token of its own that may
    /// do what the rules of a policy say.
    ///
    /// # Panics
    /// When this one has no ACLs and TLS, or it cannot be started.
    pub async fn agent(&self, files: Vec<PathBuf>, rules: &str) -> Self {
        let root = self.root_token.expect("the server has ACLs");
        self.put("/v1/acl/policy", &setup::policy("agent", rules)).await;
        let made = self.put("/v1/acl/token", "{\"Policies\":[{\"Name\":\"agent\"}]}").await;
        let token = made.split("\"SecretID\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let mut agent = Consul::new(files, Some(root));
        agent.tls.clone_from(&self.tls);
        let text = format!(
            "server = false\nnode_name = \"beside\"\nretry_join = [\"127.0.0.1:{}\"]\nretry_interval = \"1s\"\n",
            self.serf
        ) + &setup::acl(root, token.expect("a token has a secret"))
            + &setup::encryption(&agent.tls, "dc1-client-consul-0");
        agent.settings = text;
        agent.with_tls = true;
        agent.start_first().await;
        agent
    }

    fn new(mut files: Vec<PathBuf>, root_token: Option<&'static str>) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        files.push(folder.path().join("test.hcl"));
        Consul {
            http: free::address(),
            https: free::address(),
            dns: free::address(),
            serf: free::address().port(),
            settings: String::new(),
            with_tls: false,
            root_token,
            files,
            tls: folder.path().join("tls"),
            server: None,
            folder,
        }
    }

    /// Starts it for the first time; if somebody was faster with one of its ports, on others.
    async fn start_first(&mut self) {
        self.configure();
        for _ in 1..STARTS_MAX {
            if self.starts().await {
                return;
            }
            (self.http, self.https, self.dns) = (free::address(), free::address(), free::address());
            self.serf = free::address().port();
            self.configure();
        }
        assert!(self.starts().await, "Consul does not start");
    }

    /// Writes the last of its configuration files. By itself Consul has the patience of a small machine, and its leader comes after 6 s.
    fn configure(&self) {
        let [serf_wan, server] = [free::address(), free::address()].map(|it| it.port());
        let https = if self.with_tls { i32::from(self.https.port()) } else { -1 };
        let (http, dns, serf, data) = (self.http.port(), self.dns.port(), self.serf, self.folder.path().join("data"));
        let text = format!(
            "bind_addr = \"127.0.0.1\"\nclient_addr = \"127.0.0.1\"\ndata_dir = {data:?}\n\
             performance {{ raft_multiplier = 1 }}\n\
             ports {{ http = {http} https = {https} dns = {dns} grpc = -1 serf_lan = {serf} serf_wan = {serf_wan} server = {server} }}\n"
        );
        let file = self.folder.path().join("test.hcl");
        std::fs::write(&file, text + &self.settings).expect("a temporary folder can be written");
    }

    fn tls(&self, file: &str) -> PathBuf {
        self.tls.join(file)
    }

    /// The certificate of the agent's authority.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.tls("consul-agent-ca.pem")
    }

    /// A client's certificate, and the key to it: EC, in SEC1.
    #[must_use]
    pub fn client_files(&self) -> (PathBuf, PathBuf) {
        (self.tls("dc1-client-consul-0.pem"), self.tls("dc1-client-consul-0-key.pem"))
    }

    /// Its folder, for further files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it answers over HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where it answers over TLS.
    #[must_use]
    pub fn secure_url(&self) -> String {
        format!("https://{}", self.https)
    }

    /// The address of [`Consul::url`].
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http
    }

    /// Where it answers as a DNS server.
    #[must_use]
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// The token that may do everything, if one is needed.
    #[must_use]
    pub fn root_token(&self) -> Option<&'static str> {
        self.root_token
    }

    /// Asks it over HTTP, with the token that may do everything; returns the status and the body.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let asked = probe::ask(self.http, method, path, self.root_token, body).await;
        asked.unwrap_or_else(|| panic!("{method} {path} was not answered"))
    }

    /// As [`Consul::ask`], for what must succeed; returns the body.
    ///
    /// # Panics
    /// When it does not.
    pub async fn put(&self, path: &str, body: &str) -> String {
        let (status, said) = self.ask("PUT", path, body).await;
        assert_eq!(status, 200, "PUT {path}: {said}");
        said
    }

    /// How many connections to its port over HTTP there are.
    ///
    /// # Panics
    /// When the operating system does not tell.
    #[must_use]
    pub fn connections(&self) -> usize {
        probe::connections_to(self.http.port()).max(probe::connections_to(self.https.port()))
    }

    /// Ends it with SIGKILL.
    pub fn kill9(&mut self) {
        self.server = None;
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(Signal::TERM);
            server.wait();
        }
    }

    /// Stops it where it is.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            server.signal(signal);
        }
    }

    /// Ends it with SIGKILL and takes away all that it knew, for the next start.
    pub fn wipe(&mut self) {
        self.kill9();
        // What was never written need not be removed.
        drop(std::fs::remove_dir_all(self.folder.path().join("data")));
    }

    /// Starts it again on its old data, and waits until it has a leader.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        for _ in 1..STARTS_MAX {
            if self.starts().await {
                return;
            }
        }
        assert!(self.starts().await, "Consul does not start");
    }

    /// Starts it and waits until it has a leader; false when it ends instead.
    async fn starts(&mut self) -> bool {
        self.kill9();
        let mut command = Command::new(Program::Consul.path());
        command.arg("agent");
        for file in &self.files {
            command.arg(format!("-config-file={}", file.display()));
        }
        let mut server = Server::start(command, self.folder.path(), "consul.log");
        probe::until("Consul", async || server.has_ended() || self.is_ready().await).await;
        let has_ended = server.has_ended();
        self.server = Some(server);
        !has_ended
    }

    async fn is_ready(&self) -> bool {
        let has_leader = |leader: String| leader.trim().trim_matches('"').contains(':');
        if !probe::page(self.http, "/v1/status/leader").await.is_some_and(has_leader) {
            return false;
        }
        // A leader that has no ACLs yet refuses everything; and without its own node there is nothing to register with.
        let nodes = probe::ask(self.http, "GET", "/v1/catalog/nodes", self.root_token, "").await;
        nodes.is_some_and(|(status, nodes)| status == 200 && nodes.contains("\"Node\""))
    }
}
