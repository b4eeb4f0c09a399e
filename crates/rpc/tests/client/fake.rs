//! Servers that do what they are told, and how they are called.

use discovery::Endpoints;
use http::{Request, Response};
use http_body_util::BodyExt;
use rpc::Upstream;
use rpc::client::{ClientConfig, ClientMetrics, MethodConfig, RetryConfig};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Status};
use tower::Service;

const METHOD: &str = "/test.Acts/Act";
/// How long a state is waited for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server does with calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Answer,
    Fail(Code),
    FailOnce(Code),
    /// Answers when it is let go.
    Hold,
}

/// A server of this test.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    told: Told,
    connections: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinSet<()>,
}

/// What it was told, and what it has seen.
#[derive(Clone)]
struct Told {
    act: Arc<Mutex<Act>>,
    let_go: Arc<Semaphore>,
    calls: Arc<AtomicUsize>,
    checks: Arc<AtomicUsize>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Fake::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let told = Told {
            act: Arc::new(Mutex::new(Act::Answer)),
            let_go: Arc::new(Semaphore::new(0)),
            calls: Arc::default(),
            checks: Arc::default(),
        };
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let incoming = TcpListenerStream::new(listener).map(move |connection| {
            counter.fetch_add(1, Ordering::SeqCst);
            connection
        });
        let routes = Routes::new(Acts(told.clone())).add_service(Health(told.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let stopped = async { drop(stopped.await) };
            Server::builder().add_routes(routes).serve_with_incoming_shutdown(incoming, stopped).await.unwrap();
        });
        Fake { address, told, connections, stop: Some(stop), serving }
    }

    pub(crate) fn does(&self, act: Act) {
        *self.told.act.lock().unwrap() = act;
    }

    pub(crate) fn let_go(&self) {
        self.told.let_go.add_permits(1_000);
    }

    pub(crate) fn calls(&self) -> usize {
        self.told.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn checks(&self) -> usize {
        self.told.checks.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Says GOAWAY, and finishes what it has begun.
    pub(crate) fn go_away(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) async fn stop(mut self) {
        self.go_away();
        self.serving.join_next().await;
    }
}

/// The service under `METHOD`.
#[derive(Clone)]
struct Acts(Told);

impl NamedService for Acts {
    const NAME: &'static str = "test.Acts";
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Service<Request<Body>> for Acts {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Answer {
        let told = self.0.clone();
        Box::pin(async move {
            told.calls.fetch_add(1, Ordering::SeqCst);
            let act = *told.act.lock().unwrap();
            let status = match act {
                Act::Answer => Status::ok(""),
                Act::Fail(code) => Status::new(code, "told to"),
                Act::FailOnce(code) => {
                    *told.act.lock().unwrap() = Act::Answer;
                    Status::new(code, "told to")
                }
                Act::Hold => {
                    told.let_go.acquire().await.unwrap().forget();
                    Status::ok("")
                }
            };
            Ok(status.into_http())
        })
    }
}

/// `grpc.health.v1.Health`: well while it answers.
#[derive(Clone)]
struct Health(Told);

impl NamedService for Health {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl Service<Request<Body>> for Health {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Answer {
        let told = self.0.clone();
        Box::pin(async move {
            told.checks.fetch_add(1, Ordering::SeqCst);
            let is_well = matches!(*told.act.lock().unwrap(), Act::Answer);
            // A server that does not know the question is taken to be there.
            Ok(if is_well { Status::unimplemented("") } else { Status::unavailable("") }.into_http())
        })
    }
}

/// A client of servers at these addresses.
pub(crate) fn caller(addresses: &[SocketAddr], config: &ClientConfig) -> Upstream {
    following(discovery::fixed(addresses.to_vec()), config)
}

pub(crate) fn following(endpoints: Endpoints, config: &ClientConfig) -> Upstream {
    Upstream::discovered("acts", endpoints, config, &ClientMetrics::default()).unwrap()
}

/// Settings by which the method may be repeated.
pub(crate) fn repeatable(retry: RetryConfig) -> ClientConfig {
    let method = MethodConfig { may_repeat: true, ..MethodConfig::default() };
    ClientConfig { retry, methods: BTreeMap::from([(METHOD.to_owned(), method)]), ..ClientConfig::default() }
}

pub(crate) async fn call(client: &Upstream) -> Code {
    call_with(client, &[]).await
}

pub(crate) async fn call_with(client: &Upstream, headers: &[(&'static str, &'static str)]) -> Code {
    status(client, headers).await.code()
}

/// Calls, and reads the answer to its end.
pub(crate) async fn status(client: &Upstream, headers: &[(&'static str, &'static str)]) -> Status {
    let mut request = Request::post(METHOD).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let Ok(response) = client.clone().call(request.body(Body::empty()).unwrap()).await;
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    match response.into_body().collect().await {
        Ok(body) => body.trailers().and_then(Status::from_header_map).unwrap_or_else(|| Status::unknown("no status")),
        Err(status) => status,
    }
}

/// Waits for a state.
pub(crate) async fn eventually(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
