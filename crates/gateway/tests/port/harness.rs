//! A gateway on a real port, and an Order Service that does as its requests say.

use bytes::Bytes;
use gateway::{Check, Config, Deps, Directory, ForeignServices, Gateway, Metrics, Readiness, State};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lifecycle::Tasks;
use prometheus_client::registry::Registry;
use proto::comanda::order::v1::order_service_server::{OrderService, OrderServiceServer};
use proto::comanda::order::v1::{
    CancelOrderRequest, CreateOrderRequest, GetOrderJourneyRequest, GetOrderRequest, ListOrdersRequest,
    ListOrdersResponse, Order, OrderJourney, WatchOrderRequest,
};
use proto::{Violation, Violations};
use rpc::{Guarded, Slot, Upstream};
use serde_json::Value as Json;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::service::Routes;
use tonic::{Code, Request as Call, Response as Answered, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::Service;

pub(crate) const ORDERS: &str = "comanda.order.v1.OrderService";
pub(crate) const CONSUMERS: &str = "comanda.consumer.v1.ConsumerService";

/// Any free port of the loopback.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A gateway that runs; the Order Service is up and the Consumer Service is not.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    pub(crate) tasks: Tasks,
    pub(crate) orders: Slot,
    pub(crate) service: Orders,
    /// Keeps the Consumer Service known, and away.
    _consumers: Slot,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An Order Service for tests.
#[derive(Clone, Default)]
pub(crate) struct Orders {
    /// Lets an order of the restaurant `slow` go on.
    pub(crate) go_on: Arc<Notify>,
    /// Calls that have begun.
    pub(crate) begun: Arc<AtomicUsize>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Port {
    pub(crate) async fn open() -> Port {
        Port::open_with(Config::default()).await
    }

    pub(crate) async fn open_with(config: Config) -> Port {
        Port::start(config, []).await
    }

    /// Opens a port with other services beside the two.
    pub(crate) async fn start(config: Config, others: impl IntoIterator<Item = (&'static str, Upstream)>) -> Port {
        Port::try_start(HERE, config, others).await.unwrap()
    }

    /// Why a port cannot be opened.
    pub(crate) async fn refuse(config: Config) -> String {
        Port::try_start(HERE, config, []).await.err().expect("it cannot be opened").to_string()
    }

    /// Opens it at an address; a client on this machine reaches it at the loopback.
    pub(crate) async fn try_open(listen: SocketAddr, config: Config) -> Result<Port, gateway::Error> {
        Port::try_start(listen, config, []).await
    }

    async fn try_start(
        listen: SocketAddr,
        config: Config,
        others: impl IntoIterator<Item = (&'static str, Upstream)>,
    ) -> Result<Port, gateway::Error> {
        let service = Orders::default();
        let (orders, slot) = Upstream::in_process("order");
        let (consumers, away) = Upstream::in_process("consumer");
        slot.fill(guarded(&service));
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let text = move || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        let (probed_orders, probed_consumers) = (orders.clone(), consumers.clone());
        let deps = Deps {
            listen,
            upstreams: [(ORDERS, orders), (CONSUMERS, consumers)].into_iter().chain(others).collect(),
            jetstream: messaging::JetStreamConfig::default(),
            foreign: ForeignServices::default(),
            directory: Directory::default(),
            metrics,
            readiness: Arc::new(move || {
                let readiness = readiness(&probed_orders, &probed_consumers);
                Box::pin(async { readiness })
            }),
            metrics_text: Some(Arc::new(text)),
        };
        let mut tasks = Tasks::new();
        let Gateway { local_address, .. } = gateway::start(deps, config, &mut tasks).await?;
        let address = SocketAddr::from(([127, 0, 0, 1], local_address.port()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Port { address, tasks, orders: slot, service, _consumers: away, client })
    }

    pub(crate) async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        let (parts, body) = request.body(Full::new(body.into())).unwrap().into_parts();
        let mut request = Request::from_parts(parts, body);
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = format!("http://{}{path}", self.address).parse().unwrap();
        let (parts, body) = self.client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Request::post(path).header("content-type", "application/json"), body.to_owned()).await
    }

    pub(crate) async fn channel(&self) -> tonic::transport::Channel {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }
}

/// A line of HTTP/2 for a gRPC client which keeps no deadlines of its own, unlike tonic's channel. Dropping the tasks cuts it.
pub(crate) async fn line<S>(stream: S, tasks: &mut JoinSet<hyper::Result<()>>) -> hyper::Result<SendRequest<Body>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await?;
    tasks.spawn(connection);
    Ok(sender)
}

/// A gRPC client of such a line.
pub(crate) fn client(
    sender: SendRequest<Body>,
) -> Grpc<impl Service<Request<Body>, Response = Response<Incoming>, Error = hyper::Error, Future: Send>> {
    let transport = tower::service_fn(move |request| {
        let mut sender = sender.clone();
        async move { sender.send_request(request).await }
    });
    Grpc::with_origin(transport, "http://localhost".parse().unwrap())
}

/// Waits for a state of a real server, with a bound and a last word.
pub(crate) async fn eventually(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let within = Duration::from_secs(10);
    let reached = async {
        while !probe().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(within, reached).await.is_ok(), "not within {within:?}: {what}");
}

pub(crate) fn guarded(service: &Orders) -> Guarded {
    Guarded::new(Routes::new(OrderServiceServer::new(service.clone())), rpc::Config::default())
}

fn readiness(orders: &Upstream, consumers: &Upstream) -> Readiness {
    let status = match (orders.is_up(), consumers.is_up()) {
        (true, true) => State::Ready,
        (true, false) => State::Degraded,
        (false, _) => State::Unavailable,
    };
    let check = Check { name: "order".to_owned(), status, detail: "looked at by the test".to_owned() };
    Readiness { status, checks: vec![check] }
}

/// An order of the consumer that its id begins with, up to a slash.
fn order(order_id: &str, version: i64) -> Order {
    let consumer_id = order_id.split('/').next().unwrap_or_default().to_owned();
    Order { order_id: order_id.to_owned(), consumer_id, version, state: 1, ..Order::default() }
}

#[tonic::async_trait]
impl OrderService for Orders {
    type WatchOrderStream = Pin<Box<dyn Stream<Item = Result<Order, Status>> + Send>>;

    async fn create_order(&self, call: Call<CreateOrderRequest>) -> Result<Answered<Order>, Status> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        assert!(!call.metadata().contains_key("x-comanda-principal"), "an internal header came in");
        assert!(!call.metadata().contains_key("x-api-key"), "a key for the guard came in");
        let request = call.into_inner();
        match request.restaurant_id.as_str() {
            "faulty" => panic!("by intent"),
            "slow" => self.go_on.notified().await,
            "wrong" => {
                let mut violations = Violations::new();
                violations.push(Violation::new("lines[0].menu_item_id", "is not on the menu"));
                violations.push(Violation::required("city").below("delivery_address"));
                return Err(violations.into());
            }
            _ => {}
        }
        Ok(Answered::new(order("new/1", 1)))
    }

    async fn get_order(&self, call: Call<GetOrderRequest>) -> Result<Answered<Order>, Status> {
        match call.into_inner().order_id.as_str() {
            "missing" => {
                let details = ErrorDetails::with_error_info("ORDER_UNKNOWN", "comanda", []);
                Err(Status::with_error_details(Code::NotFound, "no order missing", details))
            }
            id => Ok(Answered::new(order(id, 1))),
        }
    }

    async fn list_orders(&self, _: Call<ListOrdersRequest>) -> Result<Answered<ListOrdersResponse>, Status> {
        Ok(Answered::new(ListOrdersResponse::default()))
    }

    async fn cancel_order(&self, call: Call<CancelOrderRequest>) -> Result<Answered<Order>, Status> {
        Ok(Answered::new(order(&call.into_inner().order_id, 2)))
    }

    async fn watch_order(&self, call: Call<WatchOrderRequest>) -> Result<Answered<Self::WatchOrderStream>, Status> {
        let request = call.into_inner();
        let id = request.order_id.clone();
        let orders: Vec<_> = (request.after_version.max(0) + 1..=3).map(|version| Ok(order(&id, version))).collect();
        let orders = tokio_stream::iter(orders);
        match request.order_id.as_str() {
            "open" => Ok(Answered::new(Box::pin(tokio_stream::StreamExt::chain(orders, tokio_stream::pending())))),
            _ => Ok(Answered::new(Box::pin(orders))),
        }
    }

    async fn get_order_journey(&self, _: Call<GetOrderJourneyRequest>) -> Result<Answered<OrderJourney>, Status> {
        Ok(Answered::new(OrderJourney::default()))
    }
}
