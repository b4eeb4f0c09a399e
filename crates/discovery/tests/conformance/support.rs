//! Settings, waiting and services that serve, for all tests.

use discovery::{Consul, ConsulConfig, Endpoints, Registration, RegistrationConfig, Snapshot};
use lifecycle::Tasks;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic_health::server::HealthReporter;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Settings under which faults and their end show soon.
pub(crate) fn settings(agents: &[String]) -> ConsulConfig {
    ConsulConfig {
        agents: agents.to_vec(),
        wait_ms: 20_000,
        backoff_ms_min: 10,
        backoff_ms_max: 200,
        ..ConsulConfig::default()
    }
}

/// A Consul client with tasks of its own.
pub(crate) struct Here {
    pub(crate) consul: Consul,
    pub(crate) tasks: Tasks,
}

impl Here {
    pub(crate) fn at(url: String) -> Self {
        Here::with(settings(&[url]))
    }

    pub(crate) fn with(config: ConsulConfig) -> Self {
        Here { consul: Consul::new(config).unwrap(), tasks: Tasks::new() }
    }

    pub(crate) fn watch(&mut self, service: &str) -> Endpoints {
        self.consul.watch(&mut self.tasks, service)
    }
}

/// Waits until what is known is as `is_so` says.
pub(crate) async fn until(endpoints: &mut Endpoints, what: &str, is_so: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let seen = timeout(PATIENCE, async {
        loop {
            let now = endpoints.now();
            if is_so(&now) {
                return now;
            }
            endpoints.changed().await.unwrap();
        }
    });
    let seen = seen.await;
    seen.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}; what is known is {:?}", endpoints.now()))
}

/// Waits until these ports are known, without any fault.
pub(crate) async fn until_fresh(endpoints: &mut Endpoints, ports: &[u16]) -> Arc<Snapshot> {
    let is_so = |now: &Snapshot| now.is_known && now.fault.is_none() && self::ports(now) == ports;
    until(endpoints, &format!("{ports:?} are fresh"), is_so).await
}

/// Waits until there is a fault with these words in it.
pub(crate) async fn until_fault(endpoints: &mut Endpoints, words: &str) -> Arc<Snapshot> {
    let has_words = |now: &Snapshot| now.fault.as_ref().is_some_and(|fault| chain(fault.as_ref()).contains(words));
    until(endpoints, &format!("a fault says {words:?}"), has_words).await
}

pub(crate) fn ports(snapshot: &Snapshot) -> Vec<u16> {
    snapshot.endpoints.iter().map(|endpoint| endpoint.address.port()).collect()
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

/// Polls until `probe` is `Ok`, and fails with its last complaint after [`PATIENCE`].
pub(crate) async fn eventually<T>(mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe().await {
            Ok(found) => return found,
            Err(complaint) => assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {complaint}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// A name that no other test uses: agents are shared.
pub(crate) fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A member that Consul believes without a check, which it has as the port of its address.
pub(crate) async fn add(consul: &servers::Consul, service: &str, port: u16) {
    let body = format!(
        r#"{{"ID":"{service}-{port}","Name":"{service}","Address":"127.0.0.1","Port":{port},"Meta":{{"zone":"a","version":"1"}}}}"#
    );
    consul.put("/v1/agent/service/register", &body).await;
}

pub(crate) async fn remove(consul: &servers::Consul, service: &str, port: u16) {
    consul.put(&format!("/v1/agent/service/deregister/{service}-{port}"), "").await;
}

/// A server that answers health checks.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    health: HealthReporter,
    _tasks: Tasks,
}

impl Serving {
    /// One that serves.
    pub(crate) async fn start() -> Self {
        let serving = Serving::start_unready().await;
        serving.become_ready().await;
        serving
    }

    /// One that listens, and says that it does not serve.
    pub(crate) async fn start_unready() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (health, service) = tonic_health::server::health_reporter();
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        let mut tasks = Tasks::new();
        tasks.spawn("server", async move {
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Serving { address, health, _tasks: tasks }
    }

    pub(crate) async fn become_ready(&self) {
        self.health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    }

    pub(crate) fn registration(&self, service: &str) -> Registration {
        let config = RegistrationConfig {
            interval_ms: 1_000,
            reconcile_ms: 50,
            propagation_ms: 50,
            ..RegistrationConfig::default()
        };
        Registration { config, ..Registration::new(service, self.address) }
    }
}
