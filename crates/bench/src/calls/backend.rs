//! An endpoint in a process of its own, which is told through its standard input how to behave.

use crate::Measured;
use clap::Args;
use http::{Request, Response};
use rustix::process::{Pid, Signal, kill_process};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};
use tokio::time::sleep;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::Service;

/// What a call takes when all is well.
pub(crate) const WORK: Duration = Duration::from_millis(2);
/// Told for "fail at once".
const FAIL: i64 = -1;

/// The process that is one endpoint.
#[derive(Debug, Clone, Args)]
pub(crate) struct BackendArguments {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
}

/// Serves until it is told to end.
pub(crate) async fn serve(arguments: &BackendArguments) -> Measured<()> {
    let behaviour = Arc::new(AtomicI64::new(i64::try_from(WORK.as_micros())?));
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(arguments.listen)?;
    let listener = TcpIncoming::from(socket.listen(1_024)?).with_nodelay(Some(true));
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let told = listen_to_orders(behaviour.clone());
    let server = Server::builder().add_service(health).add_service(Work(behaviour));
    Ok(server.serve_with_incoming_shutdown(listener, told).await?)
}

/// Lines on the standard input: microseconds of work, or `fail`, or `end`.
async fn listen_to_orders(behaviour: Arc<AtomicI64>) {
    println!("ready");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.trim() {
            "end" => return,
            "fail" => behaviour.store(FAIL, Ordering::Relaxed),
            micros => behaviour.store(micros.parse().unwrap_or_default(), Ordering::Relaxed),
        }
    }
}

#[derive(Clone)]
struct Work(Arc<AtomicI64>);

impl NamedService for Work {
    const NAME: &'static str = "bench.Work";
}

impl Service<Request<Body>> for Work {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let micros = self.0.load(Ordering::Relaxed);
        Box::pin(async move {
            if micros == FAIL {
                return Ok(Status::unavailable("told to").into_http());
            }
            if micros > 0 {
                sleep(Duration::from_micros(micros.unsigned_abs())).await;
            }
            Ok(Status::ok("").into_http())
        })
    }
}

/// An endpoint that can be broken and mended; the process ends with this.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    process: Option<Child>,
}

impl Backend {
    pub(crate) async fn start() -> Measured<Self> {
        let mut backend = Backend { address: servers::free::address(), process: None };
        backend.restart().await?;
        Ok(backend)
    }

    /// Starts it again where it was, and waits until it listens.
    pub(crate) async fn restart(&mut self) -> Measured<()> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["backend", "--listen", &self.address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("no output of an endpoint")?;
        let is_ready = BufReader::new(stdout).lines().next_line().await?;
        is_ready.ok_or("an endpoint ended at its start")?;
        self.process = Some(process);
        Ok(())
    }

    pub(crate) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill().await);
        }
    }

    /// Lets it end in order: what it has begun is finished.
    pub(crate) async fn end(&mut self) -> Measured<()> {
        self.tell("end").await?;
        if let Some(mut process) = self.process.take() {
            process.wait().await?;
        }
        Ok(())
    }

    pub(crate) async fn fail(&mut self) -> Measured<()> {
        self.tell("fail").await
    }

    pub(crate) async fn take(&mut self, work: Duration) -> Measured<()> {
        self.tell(&work.as_micros().to_string()).await
    }

    pub(crate) fn hang(&self) -> Measured<()> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn go_on(&self) -> Measured<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Measured<()> {
        let id = self.process.as_ref().and_then(Child::id).ok_or("an endpoint that is gone gets no signals")?;
        let id = Pid::from_raw(i32::try_from(id)?).ok_or("no process has the id 0")?;
        Ok(kill_process(id, signal)?)
    }

    async fn tell(&mut self, line: &str) -> Measured<()> {
        let process = self.process.as_mut().and_then(|process| process.stdin.as_mut());
        let stdin = process.ok_or("an endpoint that is gone cannot be told anything")?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(stdin.flush().await?)
    }
}
