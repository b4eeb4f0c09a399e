//! The clients that are compared, each over the same endpoints.

use crate::Measured;
use crate::report::OURS;
use bytes::Bytes;
use discovery::{Change, Endpoints, deltas};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use rpc::Upstream;
use rpc::client::{ClientConfig, ClientMetrics, MethodConfig};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::Change as TowerChange;
use tower::load::{CompleteOnResponse, PeakEwmaDiscover};
use tower::{Service, ServiceExt};

const METHOD: &str = "/bench.Work/Do";
/// A gRPC message without fields.
const EMPTY: &[u8] = &[0; 5];
/// What tower's documentation gives as an example.
const EWMA_BEGINS_AT: Duration = Duration::from_millis(1);
const EWMA_FORGETS_AFTER: Duration = Duration::from_secs(10);
/// Calls that wait for tower's worker, and changes that wait for a balancer.
const WAITING_MAX: usize = 1_024;

/// A client of three endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Ours; calls are never made twice.
    Ours,
    /// Ours, with a method that may be repeated.
    OursRepeatable,
    /// `Channel::balance_channel`.
    Tonic,
    /// `Balance` over `PeakEwma`, behind a `Buffer`.
    Tower,
}

impl Subject {
    pub(crate) const ALL: [Subject; 4] = [Subject::Ours, Subject::OursRepeatable, Subject::Tonic, Subject::Tower];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Ours => OURS,
            Subject::OursRepeatable => "ours-repeating",
            Subject::Tonic => "tonic",
            Subject::Tower => "tower",
        }
    }

    pub(crate) fn connect(self, endpoints: Endpoints) -> Measured<Client> {
        let mut feeding = JoinSet::new();
        let line = match self {
            Subject::Ours => Line::Ours(ours(endpoints, false)?),
            Subject::OursRepeatable => Line::Ours(ours(endpoints, true)?),
            Subject::Tonic => {
                let (channel, changes) = Channel::balance_channel(WAITING_MAX);
                feeding.spawn(feed(endpoints, async move |change| {
                    let change = match change {
                        Change::Insert(it) | Change::Update(it) => {
                            tonic::transport::channel::Change::Insert(it.address, endpoint(it.address))
                        }
                        Change::Remove(it) => tonic::transport::channel::Change::Remove(it.address),
                    };
                    drop(changes.send(change).await);
                }));
                Line::Tonic(channel)
            }
            Subject::Tower => {
                let (sender, changes) =
                    mpsc::channel::<Result<TowerChange<SocketAddr, Channel>, tower::BoxError>>(WAITING_MAX);
                feeding.spawn(feed(endpoints, async move |change| {
                    let change = match change {
                        Change::Insert(it) | Change::Update(it) => {
                            TowerChange::Insert(it.address, endpoint(it.address).connect_lazy())
                        }
                        Change::Remove(it) => TowerChange::Remove(it.address),
                    };
                    drop(sender.send(Ok(change)).await);
                }));
                let discover = PeakEwmaDiscover::new(
                    ReceiverStream::new(changes),
                    EWMA_BEGINS_AT,
                    EWMA_FORGETS_AFTER,
                    CompleteOnResponse::default(),
                );
                Line::Tower(Buffer::new(Balance::new(discover).boxed(), WAITING_MAX))
            }
        };
        Ok(Client { line, _feeding: feeding })
    }
}

type Boxed = tower::util::BoxService<Request<Body>, Response<Body>, tower::BoxError>;
type Buffered = Buffer<Request<Body>, <Boxed as Service<Request<Body>>>::Future>;

enum Line {
    Ours(Upstream),
    Tonic(Channel),
    Tower(Buffered),
}

/// A client that is connected.
pub(crate) struct Client {
    line: Line,
    _feeding: JoinSet<()>,
}

impl Client {
    /// The future of one call, which does not borrow the client.
    pub(crate) fn call(&self) -> impl Future<Output = Code> + Send + use<> {
        match &self.line {
            Line::Ours(upstream) => futures_util::future::Either::Left(call(upstream.clone())),
            Line::Tonic(channel) => {
                futures_util::future::Either::Right(futures_util::future::Either::Left(call(channel.clone())))
            }
            Line::Tower(buffer) => {
                futures_util::future::Either::Right(futures_util::future::Either::Right(call(buffer.clone())))
            }
        }
    }
}

/// Makes one call, and reads its answer to the end.
pub(crate) async fn call<S, B>(mut client: S) -> Code
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
{
    if poll_fn(|context| client.poll_ready(context)).await.is_err() {
        return Code::Unavailable;
    }
    let Ok(response) = client.call(request()).await else { return Code::Unavailable };
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status.code();
    }
    match response.into_body().collect().await {
        Ok(body) => body.trailers().and_then(Status::from_header_map).map_or(Code::Unknown, |status| status.code()),
        Err(_) => Code::Unavailable,
    }
}

fn request() -> Request<Body> {
    let request = Request::post(format!("http://bench{METHOD}"))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    request.body(Body::new(Full::new(Bytes::from_static(EMPTY)))).expect("a request of constants")
}

fn ours(endpoints: Endpoints, may_repeat: bool) -> Measured<Upstream> {
    let method = MethodConfig { may_repeat, ..MethodConfig::default() };
    let config = ClientConfig { methods: BTreeMap::from([(METHOD.to_owned(), method)]), ..ClientConfig::default() };
    Ok(Upstream::discovered("work", endpoints, &config, &ClientMetrics::default())?)
}

/// As `rpc` connects, so that the same is compared.
pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address with a port is an authority")
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(1))
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
}

/// Hands what changes on.
async fn feed(mut endpoints: Endpoints, mut hand_on: impl AsyncFnMut(Change)) {
    let mut before: Vec<discovery::Endpoint> = Vec::new();
    loop {
        let now = endpoints.now().endpoints.to_vec();
        for change in deltas(&before, &now) {
            hand_on(change).await;
        }
        before = now;
        if endpoints.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
