//! A PostgreSQL server.

use crate::server::Server;
use crate::{free, probe};
use programs::{Program, Unprivileged};
use rustix::process::Signal;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command as AsyncCommand};
use tokio::sync::OnceCell;

/// The superuser of every test server.
const USER: &str = "comanda";
/// Settings of every test server. The log can be tailed; what is flushed is flushed.
const SETTINGS: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "wal_level=logical",
    "max_connections=200",
    "max_wal_senders=20",
    "max_replication_slots=20",
    "shared_buffers=256MB",
    "log_min_messages=warning",
];

/// A server, which keeps its port and data over restarts.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    settings: Vec<String>,
    databases: AtomicU32,
    server: Option<Server>,
    folder: TempDir,
}

impl Postgres {
    /// Whether the program is there. If not, a line on standard output says that the test is skipped, which it does by returning.
    ///
    /// # Panics
    /// When it is missing and `COMANDA_TEST_FORBID_SKIP` is 1.
    #[must_use]
    pub fn require() -> bool {
        Program::Postgres("postgres").require()
    }

    /// One server for all tests of this process.
    pub async fn shared() -> &'static Postgres {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_init(Postgres::start).await
    }

    /// Starts a server.
    pub async fn start() -> Self {
        Postgres::start_with(&[]).await
    }

    /// Starts a server with further settings, such as `fsync=off`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_with(settings: &[&str]) -> Self {
        Postgres::start_guarded(settings, &[], "").await
    }

    /// Starts a server with further settings, further files in its data folder that nobody else may read, and rules of access that stand
    /// before those of the tests, as lines of `pg_hba.conf`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_guarded(settings: &[&str], files: &[(&str, &str)], access: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        if let Some(somebody) = Unprivileged::instead_of_root() {
            somebody.own(folder.path()).expect("root may give a folder away");
        }
        let mut initdb = as_unprivileged(Program::Postgres("initdb"));
        initdb.arg("-D").arg(folder.path().join("data"));
        initdb.args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let made = AsyncCommand::from(initdb).output().await.expect("initdb can be run");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let data = folder.path().join("data");
        let rules = std::fs::read_to_string(data.join("pg_hba.conf")).expect("initdb made it");
        for (name, text) in files.iter().chain([&("pg_hba.conf", format!("{access}\n{rules}").as_str())]) {
            keep_private(&data.join(name), text);
        }
        let settings = SETTINGS.iter().chain(settings).map(|setting| (*setting).to_owned()).collect();
        let mut postgres =
            Postgres { port: free::address().port(), settings, databases: AtomicU32::new(0), server: None, folder };
        postgres.restart().await;
        postgres
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The folder of its unix socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// The process id of the postmaster while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::id)
    }

    /// The URL of a new database without anything in it.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = self.psql("postgres", &format!("CREATE DATABASE {name}")).await;
        made.unwrap_or_else(|complaint| panic!("database {name}: {complaint}"));
        self.url(&name)
    }

    /// Runs SQL in a database; returns what `psql` prints: a line per row, columns parted by `|`.
    ///
    /// # Errors
    /// What `psql` complains of.
    pub async fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut command = psql(&self.url(database));
        command.args(["-c", sql]).stdin(Stdio::null());
        let done = command.output().await.map_err(|error| format!("psql cannot be run: {error}"))?;
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&done.stderr).trim_end().to_owned()),
        }
    }

    /// A session that stays open, for what has to last longer than one statement.
    ///
    /// # Panics
    /// When `psql` cannot be run.
    #[must_use]
    pub fn session(&self, url: &str) -> Session {
        let mut command = psql(url);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        Session(command.spawn().expect("psql can be run"))
    }

    /// Ends the server and all its processes with SIGKILL.
    pub fn kill9(&mut self) {
        self.server = None;
    }

    /// Ends it in order, as `pg_ctl stop -m fast` does.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(Signal::INT);
            server.wait();
        }
    }

    /// Starts it on its old data and waits until it answers.
    pub async fn restart(&mut self) {
        self.kill9();
        // A server that was killed leaves its id behind, and its last processes may still hold its memory for a moment.
        probe::until("PostgreSQL", async || {
            if self.server.as_mut().is_none_or(Server::has_ended) {
                self.server = Some(self.launch());
            }
            self.is_ready().await
        })
        .await;
    }

    fn launch(&self) -> Server {
        let mut command = as_unprivileged(Program::Postgres("postgres"));
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        command.args(["-p", &self.port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        Server::start(command, self.folder.path(), "postgres.log")
    }

    async fn is_ready(&self) -> bool {
        let mut command = AsyncCommand::new(Program::Postgres("pg_isready").path());
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).stdin(Stdio::null());
        command.status().await.is_ok_and(|status| status.success())
    }

    /// Stops the server where it is; its sessions go on to the next thing that needs it.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            server.signal(signal);
        }
    }
}

/// A `psql` that reads what it is to do from a pipe.
#[derive(Debug)]
pub struct Session(Child);

impl Session {
    /// Hands in SQL; it is run in order, and not waited for. A session that has ended takes nothing.
    pub async fn say(&mut self, sql: &str) {
        if let Some(pipe) = &mut self.0.stdin {
            drop(pipe.write_all(format!("{sql}\n").as_bytes()).await);
            drop(pipe.flush().await);
        }
    }
}

fn psql(url: &str) -> AsyncCommand {
    let mut command = AsyncCommand::new(Program::Postgres("psql").path());
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url]);
    command
}

/// PostgreSQL refuses to run as root, so it is run as somebody else then.
fn as_unprivileged(program: Program) -> Command {
    Unprivileged::command(Unprivileged::instead_of_root(), &program.path())
}

/// Writes a file as the server wants its keys: its own, and nobody else's.
fn keep_private(file: &Path, text: &str) {
    std::fs::write(file, text).expect("a temporary folder can be written");
    std::fs::set_permissions(file, Permissions::from_mode(0o600)).expect("who wrote a file may close it");
    if let Some(somebody) = Unprivileged::instead_of_root() {
        somebody.own(file).expect("root may give a file away");
    }
}
