//! The gateways that are compared, each a process of its own in front of the same backend.

use super::case::Case;
use super::configured;
use super::process::Process;
use crate::Measured;
use crate::report::OURS;
use clap::ValueEnum;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

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
            Subject::Direct | Subject::Ours => return Ok(std::env::current_exe().unwrap_or_default()),
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
        Process::start(self.name(), command, address).await
    }

    fn arguments(self, listen: SocketAddr, backend: SocketAddr, folder: &Path) -> Measured<Vec<String>> {
        let (listen_text, backend_text) = (listen.to_string(), backend.to_string());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Ok(match self {
            Subject::Direct => words(&["hello", "--listen", &listen_text]),
            Subject::Ours => words(&["gateway-alone", "--listen", &listen_text, "--backend", &backend_text]),
            Subject::Envoy => {
                let path = configured::envoy(listen, backend, folder)?;
                words(&["--config-path", &path, "--concurrency", "2", "--use-dynamic-base-id", "--log-level", "error"])
            }
            Subject::StructuredProxy => words(&["--config", &configured::structured_proxy(listen, backend, folder)?]),
            Subject::RestOverGrpc | Subject::Axum | Subject::Pingora => words(&[&listen_text, &backend_text]),
        })
    }
}
