//! A platform under test: the real binary on free ports and a data directory of its own.

use crate::{Finished, Http, Process, Rpc, command_line, eventually};
use rustix::process::Signal;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long a platform may take until it is ready. A quarter of a second on an idle machine; the rest is for a busy one.
pub const START_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take to end when it is asked to: twice what it gives the calls in flight.
const END_WITHIN: Duration = Duration::from_secs(20);

/// How to start a platform.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where its data is; `None`: in a temporary directory of its own.
    pub data_dir: Option<PathBuf>,
    /// Which roles run; empty: all.
    pub roles: Vec<&'static str>,
    /// Whether it begins with sample data.
    pub sample_data: bool,
    /// A file of settings; the flags and the environment go before it.
    pub config: Option<PathBuf>,
    /// Settings from the environment, such as `COMANDA_ORDER__REPLICA_WAIT_MS`.
    pub env: Vec<(String, String)>,
}

/// A platform that runs. It is killed when it is dropped.
#[derive(Debug)]
pub struct Comanda {
    process: Process,
    url: String,
    admin_url: String,
    options: Options,
    data_dir: PathBuf,
    folder: TempDir,
}

impl Comanda {
    /// Starts a platform with all roles and without data.
    pub async fn empty() -> Self {
        Comanda::start(Options::default()).await
    }

    /// Starts a platform and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready within [`START_WITHIN`].
    pub async fn start(options: Options) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let data_dir = options.data_dir.clone().unwrap_or_else(|| folder.path().join("data"));
        let (process, addresses) = launch(folder.path(), &data_dir, &options).await;
        let Addresses { url, admin_url } = addresses;
        Comanda { process, url, admin_url, options, data_dir, folder }
    }

    /// Where clients reach it, as in `http://127.0.0.1:40001`.
    ///
    /// # Panics
    /// When it runs without a gateway.
    #[must_use]
    pub fn url(&self) -> &str {
        assert!(!self.url.is_empty(), "this platform was started without a gateway");
        &self.url
    }

    /// Where operators reach it.
    #[must_use]
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Where its data is.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// An HTTP client of the public port.
    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(self.url())
    }

    /// An HTTP client of the operators' port.
    #[must_use]
    pub fn admin_http(&self) -> Http {
        Http::new(self.admin_url())
    }

    /// gRPC clients of the public port.
    #[must_use]
    pub fn rpc(&self) -> Rpc {
        Rpc::new(self.url())
    }

    /// The id of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged since the first start.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// Ends it with SIGKILL.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Asks it to end with SIGTERM, and waits for that.
    ///
    /// # Panics
    /// When it has not ended within 20 s.
    pub async fn terminate(&mut self) -> Finished {
        self.ask_to_end();
        self.ended().await
    }

    /// Sends SIGTERM and returns at once.
    pub fn ask_to_end(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Has it read its configuration again, with SIGHUP, and returns at once.
    pub fn hang_up(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended within 20 s.
    pub async fn ended(&mut self) -> Finished {
        self.process.wait(END_WITHIN).await
    }

    /// Kills it if it still runs, and starts it again on the same data, on other ports.
    pub async fn restart(&mut self) {
        self.process.kill9();
        let (process, addresses) = launch(self.folder.path(), &self.data_dir, &self.options).await;
        let Addresses { url, admin_url } = addresses;
        (self.process, self.url, self.admin_url) = (process, url, admin_url);
    }

    /// Ends it in order and starts it again with other roles; none means all.
    pub async fn restart_with_roles(&mut self, roles: &[&'static str]) {
        self.terminate().await;
        self.options.roles = roles.to_vec();
        self.restart().await;
    }

    /// Stops a role, as an operator does.
    pub async fn roles_stop(&self, role: &str) {
        self.roles(&["stop", role]).await;
    }

    /// Starts a role, as an operator does.
    pub async fn roles_start(&self, role: &str) {
        self.roles(&["start", role]).await;
    }

    async fn roles(&self, arguments: &[&str]) {
        let done = command_line(&[&["roles"], arguments, &["--admin", self.admin_url()]].concat()).await;
        assert_eq!(done.code, Some(0), "comanda roles {arguments:?}: {}", done.stderr);
    }

    /// Runs `comanda verify` on its data: the exit code, and what it found.
    ///
    /// # Panics
    /// When it prints no JSON.
    pub async fn verify(&self) -> (Option<i32>, Json) {
        let data_dir = self.data_dir.to_string_lossy();
        let done = command_line(&["verify", "--data-dir", &data_dir, "--json"]).await;
        let report = serde_json::from_str(&done.stdout);
        (done.code, report.unwrap_or_else(|error| panic!("verify printed no JSON: {error}: {done:?}")))
    }
}

struct Addresses {
    url: String,
    admin_url: String,
}

async fn launch(folder: &Path, data_dir: &Path, options: &Options) -> (Process, Addresses) {
    let config = options.config.as_ref().map(|file| file.to_string_lossy());
    let mut arguments = config.iter().flat_map(|file| ["--config", file]).collect::<Vec<_>>();
    arguments.extend(["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir"]);
    let (data_dir, roles) = (data_dir.to_string_lossy(), options.roles.join(","));
    arguments.push(&data_dir);
    if !roles.is_empty() {
        arguments.extend(["--roles", &roles]);
    }
    if options.sample_data {
        arguments.push("--sample-data");
    }
    let before = std::fs::read_to_string(folder.join("stdout.log")).unwrap_or_default().len();
    let mut process = Process::spawn(folder, &arguments, &options.env);
    let addresses =
        eventually(START_WITHIN, async || match (addresses(&process.stdout()[before..]), process.ended()) {
            (Some(addresses), None) => Ok(addresses),
            (_, Some(status)) => panic!("the platform ended, {status}: {}", process.stderr()),
            (None, None) => Err("the platform does not say that it is ready".to_owned()),
        })
        .await;
    (process, addresses)
}

/// Reads the greeting; the line of the data directory is the last that is needed.
fn addresses(greeting: &str) -> Option<Addresses> {
    let after = |label: &str| {
        let line = greeting.lines().find(|line| line.trim_start().starts_with(label))?;
        line.trim_start().strip_prefix(label).map(|value| value.trim().to_owned())
    };
    let _data = after("data ").filter(|_| greeting.contains("comanda is ready"))?;
    Some(Addresses { url: after("REST and gRPC").unwrap_or_default(), admin_url: after("operators")? })
}
