//! A shop behind a guard. An order's owner is the part of its id before the dash.

use guard::{Config, Defaults, Guard, GuardLayer, Guarded, Identity, Metrics, Peer};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use prometheus_client::registry::Registry;
use prost::Message;
use prost_reflect::DescriptorPool;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::{Code, Request as Call, Response as Answered, Status};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Order {
    #[prost(string, tag = "1")]
    pub(crate) order_id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) owner: Option<Owner>,
    #[prost(int64, tag = "3")]
    pub(crate) paid: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Owner {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// A `Named`, a `Filter` or a `New`, which look alike on the wire.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Text {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Page {
    #[prost(message, repeated, tag = "1")]
    pub(crate) orders: Vec<Order>,
}

pub(crate) fn descriptors() -> DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        let folder = env!("CARGO_MANIFEST_DIR");
        let folders = [format!("{folder}/tests/guard"), format!("{folder}/../../proto")];
        let mut compiler = protox::Compiler::new(folders).unwrap();
        compiler.include_imports(true).open_file("shop.proto").unwrap().descriptor_pool()
    });
    POOL.clone()
}

/// What reached the service.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) subject: Option<String>,
}

/// The service.
#[derive(Clone, Default)]
pub(crate) struct Orders {
    seen: Arc<Mutex<Vec<Seen>>>,
    paid: Arc<AtomicI64>,
    /// Lets a payment of the order `slow` go on.
    pub(crate) go_on: Arc<Notify>,
}

/// The shop as its callers see it.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) guard: Guard,
    layer: GuardLayer,
    pub(crate) orders: Orders,
    pub(crate) registry: Arc<Registry>,
}

impl Shop {
    pub(crate) async fn open(config: &str) -> Shop {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let config: Config = toml::from_str(config).unwrap();
        let guard = Guard::new(config, Defaults::default(), metrics).await.unwrap();
        Shop::behind(guard, registry)
    }

    /// A shop whose guard shares what it keeps of answers.
    #[cfg(feature = "jetstream")]
    pub(crate) async fn sharing(config: &str, line: &messaging::JetStreamConfig, orders: Orders) -> Shop {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let config: Config = toml::from_str(config).unwrap();
        let guard = Guard::sharing(config, Defaults::default(), metrics, line).await.unwrap();
        Shop { orders, ..Shop::behind(guard, registry) }
    }

    fn behind(guard: Guard, registry: Registry) -> Shop {
        let layer = guard.layer(guard::methods_of(&descriptors()));
        assert_eq!(layer.without_a_way_in(), Vec::<&str>::new());
        Shop { guard, layer, orders: Orders::default(), registry: Arc::new(registry) }
    }

    /// The same guard before other services.
    pub(crate) fn beside(&self) -> Shop {
        Shop { layer: self.guard.layer(guard::methods_of(&descriptors())), orders: Orders::default(), ..self.clone() }
    }

    /// The same services behind its guard with another configuration.
    pub(crate) async fn renewed(&self, config: &str) -> Result<Shop, guard::Error> {
        let guard = self.guard.renewed(toml::from_str(config).unwrap()).await?;
        let layer = guard.layer(guard::methods_of(&descriptors()));
        Ok(Shop { guard, layer, ..self.clone() })
    }

    pub(crate) fn service(&self) -> Guarded<Orders> {
        self.layer.layer(self.orders.clone())
    }

    /// Calls a method with one text.
    pub(crate) async fn call<T>(
        &self,
        method: &str,
        text: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answered<T>, Status>
    where
        T: Message + Default + Send + 'static,
    {
        let mut client = Grpc::new(self.service());
        client.ready().await.unwrap();
        let path = format!("/shop.Orders/{method}").parse().unwrap();
        client.unary(call(text, headers), path, ProstCodec::<Text, T>::default()).await
    }

    pub(crate) async fn get(&self, order_id: &str, headers: &[(&str, &str)]) -> Result<Answered<Order>, Status> {
        self.call("Get", order_id, headers).await
    }

    pub(crate) async fn pay(&self, order_id: &str, key: &str) -> Result<Answered<Order>, Status> {
        self.call("Pay", order_id, &[("idempotency-key", key)]).await
    }

    /// The messages of a watch, and how it ended.
    pub(crate) async fn watch(&self, order_id: &str, headers: &[(&str, &str)]) -> (Vec<Order>, Code) {
        let mut client = Grpc::new(self.service());
        client.ready().await.unwrap();
        let (path, codec) = ("/shop.Orders/Watch".parse().unwrap(), ProstCodec::<Text, Order>::default());
        let mut orders = Vec::new();
        let mut stream = match client.server_streaming(call(order_id, headers), path, codec).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return (orders, status.code()),
        };
        loop {
            match stream.message().await {
                Ok(Some(order)) => orders.push(order),
                Ok(None) => return (orders, Code::Ok),
                Err(status) => return (orders, status.code()),
            }
        }
    }

    /// What reached the service since the last look.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.orders.seen.lock().unwrap())
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

fn call(text: &str, headers: &[(&str, &str)]) -> Call<Text> {
    let mut call = Call::new(Text { text: text.to_owned() });
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    *call.metadata_mut() = tonic::metadata::MetadataMap::from_headers(map);
    call.extensions_mut().insert(Peer { address: [127, 0, 0, 1].into(), certificate: None });
    call
}

/// The reason that a refusal gives.
pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn order(order_id: &str, paid: i64) -> Order {
    let name = order_id.split('-').next().unwrap_or_default().to_owned();
    Order { order_id: order_id.to_owned(), owner: Some(Owner { name }), paid }
}

fn frame(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

impl Orders {
    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let subject = parts.extensions.get::<Arc<Identity>>().map(|identity| identity.subject.clone());
        self.seen.lock().unwrap().push(Seen { path: path.clone(), headers: parts.headers, subject });
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = Text::decode(bytes.get(5..).unwrap_or_default()).unwrap_or_default().text;
        match (path.as_str(), text.as_str()) {
            (_, "missing") => {
                let details = ErrorDetails::with_error_info("ORDER_UNKNOWN", "shop", []);
                Status::with_error_details(Code::NotFound, "no order missing", details).into_http()
            }
            (_, "away") => Status::unavailable("the shop is closed").into_http(),
            ("/shop.Orders/List", _) => {
                let orders = vec![order("anna-1", 0), order(if text.is_empty() { "ben-1" } else { "anna-2" }, 0)];
                messages(&[frame(&Page { orders })], Code::Ok)
            }
            ("/shop.Orders/Watch", "mixed") => {
                messages(&[frame(&order("anna-1", 0)), frame(&order("ben-1", 0)), frame(&order("anna-2", 0))], Code::Ok)
            }
            ("/shop.Orders/Watch", "gone") => messages(&[frame(&order("anna-1", 0))], Code::NotFound),
            ("/shop.Orders/Watch", _) => messages(&[frame(&order(&text, 0)), frame(&order(&text, 1))], Code::Ok),
            ("/shop.Orders/Pay", _) => {
                let paid = self.paid.fetch_add(1, Ordering::SeqCst) + 1;
                match text.as_str() {
                    "slow" => self.go_on.notified().await,
                    "refused" => return Status::failed_precondition("it is paid already").into_http(),
                    "long" => {
                        let long = Order { order_id: "x".repeat(2_000), ..order("long", paid) };
                        return messages(&[frame(&long)], Code::Ok);
                    }
                    _ => {}
                }
                let mut response = messages(&[frame(&order(&text, paid))], Code::Ok);
                response.headers_mut().insert("x-receipt", paid.into());
                response
            }
            _ => messages(&[frame(&order(&text, 0))], Code::Ok),
        }
    }
}

/// An answer in pieces that end in the middle of a message.
fn messages(frames: &[Vec<u8>], code: Code) -> Response<Body> {
    let bytes: Vec<u8> = frames.concat();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", (code as i32).into());
    let pieces: Vec<_> = bytes.chunks(7).map(|piece| http_body::Frame::data(piece.to_vec().into())).collect();
    let frames = pieces.into_iter().chain([http_body::Frame::trailers(trailers)]).map(Ok::<_, Status>);
    let mut response = Response::new(Body::new(StreamBody::new(tokio_stream::iter(frames))));
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    response
}

impl Service<Request<Body>> for Orders {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.clone().answer(request);
        Box::pin(async { Ok(answer.await) })
    }
}
