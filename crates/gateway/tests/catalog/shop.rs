//! A gRPC server that serves whatever a few lines of a `.proto` file describe: it answers each request with itself, signed.

use crate::gate::eventually;
use axum::Router;
use axum::extract::Request as Incoming;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use lifecycle::Tasks;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::ServiceExt;

/// Which reflection a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reflects {
    V1,
    Alpha,
    Nothing,
}

/// A server that runs. It ends with its owner, or when it is stopped.
pub(crate) struct Shop {
    pub(crate) address: SocketAddr,
    pub(crate) behaviour: Arc<Behaviour>,
    tasks: Tasks,
}

/// What a server does that is not in its descriptors.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    /// What it writes into the field `by` of its answers.
    signature: String,
    /// Calls that have come.
    pub(crate) calls: AtomicUsize,
    /// Lets a call go on whose message has the name `slow`.
    pub(crate) go_on: Notify,
    /// Whether it refuses every call.
    pub(crate) is_unavailable: AtomicBool,
}

/// The descriptor set of a file.
pub(crate) fn set(file: &str, text: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("syntax = \"proto3\";\nimport \"google/api/annotations.proto\";\n{text}")).unwrap();
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let mut compiler = protox::Compiler::new([folder.path(), contract.as_ref()]).unwrap();
    compiler.include_imports(true).open_file(file).unwrap().encode_file_descriptor_set()
}

impl Shop {
    /// One that is described by `text`, and signs what it answers.
    pub(crate) async fn open(signature: &str, text: &str) -> Shop {
        Shop::open_as(signature, &set("shop.proto", text), Reflects::V1).await
    }

    pub(crate) async fn open_as(signature: &str, set: &[u8], reflects: Reflects) -> Shop {
        Shop::open_at(SocketAddr::from(([127, 0, 0, 1], 0)), signature, set, reflects).await
    }

    pub(crate) async fn open_at(address: SocketAddr, signature: &str, set: &[u8], reflects: Reflects) -> Shop {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let behaviour = Arc::new(Behaviour { signature: signature.to_owned(), ..Behaviour::default() });
        let pool = DescriptorPool::decode(set).unwrap();
        let mut router = Router::new();
        for service in pool.services() {
            let (pool, behaviour) = (pool.clone(), behaviour.clone());
            let echo =
                tower::service_fn(move |request: Request<Body>| answer(pool.clone(), behaviour.clone(), request));
            let echo = echo.map_request(|request: Incoming| request.map(Body::new));
            router = router.route_service(&format!("/{}/{{method}}", service.full_name()), echo);
        }
        let builder = || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(set);
        let routes = Routes::from(router);
        let routes = match reflects {
            Reflects::V1 => routes.add_service(builder().build_v1().unwrap()),
            Reflects::Alpha => routes.add_service(builder().build_v1alpha().unwrap()),
            Reflects::Nothing => routes,
        };
        let mut tasks = Tasks::new();
        let drain = tasks.drain_request();
        tasks.spawn("shop", async move {
            let connections = TcpListenerStream::new(listener);
            let server = Server::builder().add_routes(routes);
            server.serve_with_incoming_shutdown(connections, drain.requested()).await.unwrap();
        });
        Shop { address, behaviour, tasks }
    }

    pub(crate) fn calls(&self) -> usize {
        self.behaviour.calls.load(Ordering::SeqCst)
    }

    /// Waits until so many calls have come.
    pub(crate) async fn until_called(&self, times: usize) {
        eventually(async || match self.calls() {
            calls if calls == times => Ok(()),
            calls => Err(format!("{calls} calls have come, not {times}")),
        })
        .await;
    }

    /// Finishes what it has begun, and ends.
    pub(crate) async fn stop(self) {
        self.tasks.drain(Duration::from_secs(10)).await.unwrap();
    }
}

async fn answer(
    pool: DescriptorPool,
    behaviour: Arc<Behaviour>,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    behaviour.calls.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    let (service, name) = path.trim_start_matches('/').split_once('/').unwrap();
    let service = pool.get_service_by_name(service).unwrap();
    let Some(method) = service.methods().find(|method| method.name() == name) else {
        return Ok(Status::unimplemented("").into_http());
    };
    if behaviour.is_unavailable.load(Ordering::SeqCst) {
        return Ok(Status::unavailable("by intent").into_http());
    }
    let requests = messages(request.into_body()).await;
    let mut answers: Vec<Bytes> = requests.into_iter().map(|request| signed(&method, request, &behaviour)).collect();
    let is_slow = answers.first().is_some_and(|answer| answer.windows(4).any(|part| part == b"slow"));
    if is_slow {
        behaviour.go_on.notified().await;
    }
    match (method.is_client_streaming(), method.is_server_streaming()) {
        (true, false) => answers = answers.pop().into_iter().collect(),
        (false, true) => answers = answers.iter().cycle().take(3).cloned().collect(),
        (false, false) | (true, true) => {}
    }
    Ok(framed(answers))
}

fn signed(method: &MethodDescriptor, request: Bytes, behaviour: &Behaviour) -> Bytes {
    let mut message = DynamicMessage::decode(method.output(), request).unwrap();
    if method.output().get_field_by_name("by").is_some() {
        message.set_field_by_name("by", Value::String(behaviour.signature.clone()));
    }
    message.encode_to_vec().into()
}

async fn messages(body: Body) -> Vec<Bytes> {
    let mut bytes = body.collect().await.unwrap().to_bytes();
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let mut head = bytes.split_to(5);
        assert_eq!(head.get_u8(), 0, "no compression was agreed");
        messages.push(bytes.split_to(usize::try_from(head.get_u32()).unwrap()));
    }
    messages
}

fn framed(messages: Vec<Bytes>) -> Response<Body> {
    let mut bytes = BytesMut::new();
    for message in messages {
        bytes.put_u8(0);
        bytes.put_u32(u32::try_from(message.len()).unwrap());
        bytes.put(message);
    }
    let mut trailers = HeaderMap::new();
    Status::ok("").add_header(&mut trailers).unwrap();
    let frames = [Frame::data(bytes.freeze()), Frame::trailers(trailers)].map(Ok::<_, Status>);
    let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}
