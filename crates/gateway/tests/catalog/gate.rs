//! A gateway on a real port, in front of services that the test says where to find.

use bytes::Bytes;
use discovery::{Endpoint, Endpoints, Feed, TagFeed, Tagged};
use gateway::{
    CatalogConfig, Check, Config, Configured, Deps, Directory, ForeignServices, Found, Gateway, Metrics, Readiness,
    ReflectionConfig, ServiceConfig, State,
};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lifecycle::Tasks;
use prometheus_client::registry::Registry;
use rpc::client::{ClientConfig, ClientMetrics};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that runs, and the ends by which it is told where services are.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) directory: Directory,
    gateway: Gateway,
    places: Places,
    tags: TagFeed,
    client: Client<HttpConnector, Full<Bytes>>,
    _tasks: Tasks,
}

/// An answer: its status, and its body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Json,
}

/// Settings under which changes show soon.
pub(crate) fn settings() -> Config {
    let reflection =
        ReflectionConfig { backoff_ms: 10, backoff_max_ms: 50, again_ms: 100, ..ReflectionConfig::default() };
    let catalog = CatalogConfig { absent_grace_ms: 1_000, reflection, ..CatalogConfig::default() };
    Config { catalog, ..Config::default() }
}

impl Gate {
    /// One in front of services with these names, which are nowhere yet.
    pub(crate) async fn open(names: &[&str]) -> Gate {
        Gate::open_with(settings(), names).await.unwrap()
    }

    pub(crate) async fn open_with(config: Config, names: &[&str]) -> Result<Gate, gateway::Error> {
        let places = Places::default();
        let (tags, tagged) = Tagged::feed();
        let seen = places.clone();
        let watch = move |_: &mut Tasks, name: &str| seen.of(name);
        let foreign = ForeignServices {
            configured: places.configured(names),
            found: Some(Found { tagged, watch: Arc::new(watch) }),
            client: ClientConfig::default(),
            client_metrics: ClientMetrics::default(),
        };
        let directory = Directory::default();
        let deps = Deps {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            upstreams: BTreeMap::new(),
            foreign,
            jetstream: messaging::JetStreamConfig::default(),
            directory: directory.clone(),
            metrics: Metrics::register(&mut Registry::default()),
            readiness: Arc::new(|| Box::pin(async { ready() })),
            metrics_text: None,
        };
        let mut tasks = Tasks::new();
        let gateway = gateway::start(deps, config, &mut tasks).await?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Gate { address: gateway.local_address, directory, gateway, places, tags, client, _tasks: tasks })
    }

    /// Has it serve by other settings, and the services with these names and no others of the configuration.
    pub(crate) async fn change(&self, config: &Config, names: &[&str]) -> Result<(), gateway::Error> {
        self.gateway.change(config, self.places.configured(names)).await
    }

    /// Says where a configured service is.
    pub(crate) fn list(&self, name: &str, addresses: &[SocketAddr]) {
        self.places.say(name, addresses.iter().copied().map(Endpoint::at).collect());
    }

    /// Says where a service is that is found; before it is found, and afterwards.
    pub(crate) fn finds(&self, name: &str, addresses: &[SocketAddr]) {
        let tags: Arc<[String]> = ["grpc-gateway".to_owned()].into();
        let at = |address: &SocketAddr| Endpoint { tags: tags.clone(), ..Endpoint::at(*address) };
        self.places.say(name, addresses.iter().map(at).collect());
    }

    /// The same, of a service that has lost its tag.
    pub(crate) fn finds_untagged(&self, name: &str, addresses: &[SocketAddr]) {
        self.list(name, addresses);
    }

    /// Says which services have the tag.
    pub(crate) fn tag(&self, names: &[&str]) {
        self.tags.confirm(names.iter().map(|name| (*name).to_owned()).collect());
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(format!("http://{}{path}", self.address)), "").await
    }

    pub(crate) async fn get_as(&self, path: &str, (name, value): (&str, &str)) -> Answer {
        self.send(Request::get(format!("http://{}{path}", self.address)).header(name, value), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let request = Request::post(format!("http://{}{path}", self.address));
        self.send(request.header("content-type", "application/json"), body).await
    }

    pub(crate) async fn send(&self, request: http::request::Builder, body: &str) -> Answer {
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let (parts, body) = self.client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or(Json::Null);
        Answer { status: parts.status.as_u16(), json }
    }

    /// Waits until a GET has this status.
    pub(crate) async fn until(&self, path: &str, status: u16) -> Answer {
        eventually(async || {
            let answer = self.get(path).await;
            if answer.status == status { Ok(answer) } else { Err(format!("{path} is {answer:?}, not {status}")) }
        })
        .await
    }

    /// Waits until a GET is answered by somebody.
    pub(crate) async fn until_by(&self, path: &str, by: &str) {
        eventually(async || match self.get(path).await {
            answer if answer.json["by"] == by => Ok(()),
            answer => Err(format!("{path} is {answer:?}, not by {by}")),
        })
        .await;
    }

    /// Waits until nothing can be posted to a path any more.
    pub(crate) async fn until_gone(&self, path: &str) {
        eventually(async || match self.post(path, "{}").await.status {
            404 | 405 => Ok(()),
            status => Err(format!("{path} is {status}")),
        })
        .await;
    }

    /// What operators see of a service.
    pub(crate) fn shown(&self, name: &str) -> Json {
        let all = self.directory.to_json();
        let services = all["services"].as_array().unwrap();
        services.iter().find(|service| service["name"] == name).cloned().unwrap_or(Json::Null)
    }

    /// Waits until operators are told of a conflict with these words in it.
    pub(crate) async fn until_told(&self, name: &str, words: &str) {
        eventually(async || {
            let told = self.shown(name)["conflicts"].to_string();
            if told.contains(words) { Ok(()) } else { Err(format!("{words:?} is not in {told}")) }
        })
        .await;
    }

    pub(crate) async fn channel(&self) -> tonic::transport::Channel {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }
}

/// Where services are, by their names, whoever looks for them.
#[derive(Debug, Clone, Default)]
struct Places(Arc<Mutex<BTreeMap<String, Place>>>);

/// Says where a service is, and what hears it.
type Place = (Arc<Feed>, Endpoints);

impl Places {
    fn place(&self, name: &str) -> Place {
        let mut places = self.0.lock().unwrap();
        let new = || {
            let (feed, endpoints) = Endpoints::feed();
            (Arc::new(feed), endpoints)
        };
        places.entry(name.to_owned()).or_insert_with(new).clone()
    }

    fn of(&self, name: &str) -> Endpoints {
        self.place(name).1
    }

    fn say(&self, name: &str, endpoints: Vec<Endpoint>) {
        self.place(name).0.confirm(endpoints);
    }

    /// Services of the configuration; `shop@place` is the shop, which Consul calls `place`.
    fn configured(&self, names: &[&str]) -> Vec<Configured> {
        let configured = |name: &&str| {
            let (name, consul) = name.split_once('@').map_or((*name, None), |(name, place)| (name, Some(place)));
            let endpoints = self.of(consul.unwrap_or(name));
            let consul = consul.map(ToOwned::to_owned);
            Configured { name: name.to_owned(), consul, endpoints, tasks: Tasks::new() }
        };
        names.iter().map(configured).collect()
    }
}

/// A service with a descriptor file.
pub(crate) fn from_file(path: PathBuf) -> ServiceConfig {
    ServiceConfig {
        from: "http://127.0.0.1:1".to_owned(),
        descriptors: Some(path),
        strict: true,
        strip_enum_prefix: false,
    }
}

/// The settings of the shop.
pub(crate) fn with(service: ServiceConfig) -> Config {
    Config { services: BTreeMap::from([("shop".to_owned(), service)]), ..settings() }
}

/// Polls until `probe` is `Ok`, and fails with its last complaint after [`PATIENCE`].
pub(crate) async fn eventually<T>(mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe().await {
            Ok(found) => return found,
            Err(complaint) => assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {complaint}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn ready() -> Readiness {
    let check = Check { name: "test".to_owned(), status: State::Ready, detail: "runs".to_owned() };
    Readiness { status: State::Ready, checks: vec![check] }
}
