//! The library of the example, as a process.

use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use testkit::{Comanda, Options, eventually, require_tool};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long Python may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs. It is killed when it is dropped.
pub(crate) struct Library {
    pub(crate) port: u16,
    process: Child,
    _folder: TempDir,
}

/// The folder of the example.
pub(crate) fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/examples/library")
}

/// Whether Python can run it. If not, the test is skipped by returning.
pub(crate) fn require() -> bool {
    python().is_some()
}

fn python() -> Option<PathBuf> {
    require_tool("grpc-python/bin/python3")
}

/// The folder of the packages of this Python, which has Google's files as well.
fn packages(python: &Path) -> PathBuf {
    let libraries = python.ancestors().nth(2).unwrap().join("lib");
    let folders = std::fs::read_dir(&libraries).unwrap().map(|entry| entry.unwrap().path().join("site-packages"));
    let mut with_tools = folders.filter(|folder| folder.join("grpc_tools").is_dir());
    with_tools
        .next()
        .unwrap_or_else(|| panic!("{} has no grpcio-tools; run `cargo xtask servers`", libraries.display()))
}

/// The contract of the example.
pub(crate) fn contract() -> String {
    std::fs::read_to_string(example().join("library.proto")).unwrap()
}

/// Another version: `ReturnBook` instead of `LendBook`.
pub(crate) fn next_contract() -> String {
    let next = contract().replace("LendBook", "ReturnBook").replace(":lend", ":return");
    assert_ne!(next, contract());
    next
}

impl Library {
    /// Starts a branch of this contract, and waits until it serves.
    pub(crate) async fn open(branch: &str, contract: &str) -> Library {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("library.proto"), contract).unwrap();
        std::fs::copy(example().join("server.py"), folder.path().join("server.py")).unwrap();
        let program = python().unwrap();
        let python = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.args(arguments).current_dir(folder.path()).kill_on_drop(true);
            command
        };
        let include = packages(&program).to_string_lossy().into_owned();
        let generate = [
            "-m",
            "grpc_tools.protoc",
            "-I",
            ".",
            "-I",
            &include,
            "--python_out=.",
            "--grpc_python_out=.",
            "library.proto",
        ];
        assert!(python(&generate).status().await.unwrap().success(), "the contract cannot be compiled:\n{contract}");
        let mut process =
            python(&["server.py", "--port", "0", "--branch", branch]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let port = line.rsplit_once(':').unwrap().1.parse().unwrap();
        Library { port, process, _folder: folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A gateway of the example that is told where this is, and serves it.
    pub(crate) async fn gateway(&self) -> Comanda {
        let env = vec![("COMANDA_GATEWAY__SERVICES__LIBRARY__FROM".to_owned(), self.url())];
        let config = Some(example().join("gateway.toml"));
        let gateway = Comanda::start(Options { roles: vec!["gateway"], config, env, ..Options::default() }).await;
        let http = gateway.http();
        eventually(PATIENCE, async || match http.get("/v1/books/1").try_send().await?.status.as_u16() {
            200 => Ok(()),
            status => Err(format!("a book is {status}")),
        })
        .await;
        gateway
    }

    /// What it is called in Consul.
    pub(crate) fn id(&self) -> String {
        format!("library-{}", self.port)
    }

    /// Registers it by hand, as the example does.
    pub(crate) async fn register(&self, consul: &servers::Consul) {
        let registration = std::fs::read_to_string(example().join("register.json")).unwrap();
        let registration = registration.replace("50051", &self.port.to_string()).replace("library-1", &self.id());
        consul.put("/v1/agent/service/register", &registration).await;
    }

    pub(crate) async fn deregister(&self, consul: &servers::Consul) {
        consul.put(&format!("/v1/agent/service/deregister/{}", self.id()), "").await;
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self) {
        let id = Pid::from_raw(i32::try_from(self.process.id().unwrap()).unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        let status = timeout(PATIENCE, self.process.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}
