//! The gateways that are compared, each a process of its own in front of the same backend.

use super::case::{Case, Width};
use super::configured;
use super::load::{Lasts, drive};
use super::process::Process;
use crate::Measured;
use crate::report::OURS;
use clap::ValueEnum;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// How long a gateway may take until it answers; under valgrind that is half a minute.
const SERVES_WITHIN: Duration = Duration::from_secs(90);
/// The pause between two looks.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// A way to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// No gateway: what the calls cost the backend itself.
    Direct,
    /// This platform's.
    Ours,
    /// Envoy with its transcoder.
    Envoy,
    /// A transcoding proxy by descriptors at run time, as ours.
    StructuredProxy,
    /// Transcoding that was generated at build time.
    RestOverGrpc,
    /// By hand, for these methods only.
    Axum,
    /// A proxy that knows nothing of gRPC.
    Pingora,
}

impl Subject {
    pub(crate) const ALL: [Subject; 7] = [
        Subject::Direct,
        Subject::Ours,
        Subject::Envoy,
        Subject::StructuredProxy,
        Subject::RestOverGrpc,
        Subject::Axum,
        Subject::Pingora,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Direct => "direct",
            Subject::Ours => OURS,
            Subject::Envoy => "envoy",
            Subject::StructuredProxy => "structured-proxy",
            Subject::RestOverGrpc => "rest_over_grpc",
            Subject::Axum => "axum",
            Subject::Pingora => "pingora",
        }
    }

    /// Whether it can do this at all.
    pub(crate) fn serves(self, case: Case) -> bool {
        match self {
            Subject::Ours | Subject::Envoy | Subject::StructuredProxy => true,
            Subject::RestOverGrpc | Subject::Axum => case.is_rest(),
            Subject::Direct | Subject::Pingora => !case.is_rest(),
        }
    }

    /// Its program; where that should be, when it is not there.
    pub(crate) fn program(self) -> Result<PathBuf, PathBuf> {
        let installed = |name: &str| configured::peers().join("bin").join(name);
        let path = match self {
            Subject::Direct => std::env::current_exe().unwrap_or_default(),
            Subject::Ours => testkit::program().to_owned(),
            Subject::Envoy => installed("envoy"),
            Subject::StructuredProxy => installed("structured-proxy"),
            Subject::RestOverGrpc => installed("rest_over_grpc_edge"),
            Subject::Axum => installed("axum_edge"),
            Subject::Pingora => installed("pingora_edge"),
        };
        if path.is_file() { Ok(path) } else { Err(path) }
    }

    /// Starts it in front of a backend; its configuration is written into a folder. `prefix` is a program that runs it, such as a profiler.
    pub(crate) async fn start(self, backend: SocketAddr, folder: &Path, prefix: &[String]) -> Measured<Process> {
        let program = self.program().map_err(|path| format!("{} is missing", path.display()))?;
        let address = servers::free::address();
        let mut words: Vec<String> = prefix.to_vec();
        words.push(program.display().to_string());
        words.extend(self.arguments(address, backend, folder)?);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(self.name(), command, address).await?;
        self.until_served(&process).await?;
        Ok(process)
    }

    /// Waits until calls are answered: a port may be open before it is known what is behind the gateway.
    async fn until_served(self, process: &Process) -> Measured<()> {
        let case = Case::SMALL.into_iter().find(|case| self.serves(*case)).unwrap_or(Case::PassThrough);
        let deadline = Instant::now() + SERVES_WITHIN;
        while let Err(error) = drive(case, Width::ONE, process.address, Lasts::Calls(1)).await {
            if Instant::now() > deadline {
                return Err(format!("{} does not serve within {SERVES_WITHIN:?}: {error}", self.name()).into());
            }
            sleep(LOOKED_AT_EVERY).await;
        }
        Ok(())
    }

    fn arguments(self, listen: SocketAddr, backend: SocketAddr, folder: &Path) -> Measured<Vec<String>> {
        let (listen_text, backend_text) = (listen.to_string(), backend.to_string());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Ok(match self {
            Subject::Direct => words(&["hello", "--listen", &listen_text]),
            Subject::Ours => words(&["serve", "gateway", "--config", &configured::ours(listen, backend, folder)?]),
            Subject::Envoy => {
                let path = configured::envoy(listen, backend, folder)?;
                words(&["--config-path", &path, "--concurrency", "2", "--use-dynamic-base-id", "--log-level", "error"])
            }
            Subject::StructuredProxy => words(&["--config", &configured::structured_proxy(listen, backend, folder)?]),
            Subject::RestOverGrpc | Subject::Axum | Subject::Pingora => words(&[&listen_text, &backend_text]),
        })
    }
}
