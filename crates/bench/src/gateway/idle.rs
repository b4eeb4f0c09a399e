//! Memory of gateways that have nothing to do: without connections, and with 10,000 of them.

use super::case::{Case, Width};
use super::load::{Lasts, drive};
use super::process::Process;
use super::subject::Subject;
use crate::Measured;
use crate::report::{Metric, Report};
use crate::usage::resident_bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MEMORY: Metric = Metric { name: "resident", unit: "MB" };
/// Connections that are open, and have each made a request.
const CONNECTIONS: usize = 10_000;
/// Files that are open besides them.
const OTHER_FILES: u64 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connections {
    None,
    Many,
}

pub(super) async fn measure(
    gateways: &[(Subject, Process)],
    connections: Connections,
    report: &mut Report,
) -> Measured<()> {
    for (subject, process) in gateways.iter().filter(|(subject, _)| subject.serves(Case::TranscodeGet)) {
        let megabytes = || -> Measured<f64> { Ok(resident_bytes(process.id()?) as f64 / 1e6) };
        match connections {
            Connections::None => report.note("idle", MEMORY, subject.name(), megabytes()?),
            Connections::Many => {
                report.note("idle, after the load", MEMORY, subject.name(), megabytes()?);
                let mut open = Vec::with_capacity(CONNECTIONS);
                for _ in 0..CONNECTIONS {
                    open.push(used_once(process).await.map_err(|error| format!("{}: {error}", subject.name()))?);
                }
                report.note("10,000 idle connections", MEMORY, subject.name(), megabytes()?);
                drop(open);
                drive(Case::TranscodeGet, Width::ONE, process.address, Lasts::Calls(1)).await?;
            }
        }
    }
    Ok(())
}

/// Lets this process and those that it starts open as many files as they may at all.
pub(super) fn allow_many_files() -> Measured<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = CONNECTIONS as u64 + OTHER_FILES;
    if maximum.is_some_and(|maximum| maximum < wanted) {
        return Err(format!("{wanted} files must be allowed (`ulimit -Hn`)").into());
    }
    if current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(())
}

/// A connection over which one request was answered.
async fn used_once(process: &Process) -> Measured<TcpStream> {
    let mut stream = TcpStream::connect(process.address).await?;
    let request = format!("GET /v1/greet/bob HTTP/1.1\r\nhost: {}\r\n\r\n", process.address);
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"}") && !answer.ends_with(b"0\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(format!("the connection ended after {:?}", String::from_utf8_lossy(&answer)).into());
        }
    }
    Ok(stream)
}
