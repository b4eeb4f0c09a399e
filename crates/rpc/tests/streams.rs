//! Long bodies and streams over a real connection, in both directions.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use rpc::Upstream;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::Service;

const PATIENCE: Duration = Duration::from_secs(20);
/// More than the windows of both sides together.
const LONG: usize = 12 << 20;

/// A service that looks at the bodies of its calls.
#[derive(Clone, Default)]
struct Streams {
    go_on: Arc<Notify>,
    read: Arc<AtomicUsize>,
    is_cancelled: Arc<AtomicBool>,
    headers: Arc<std::sync::Mutex<HeaderMap>>,
}

impl NamedService for Streams {
    const NAME: &'static str = "test.Streams";
}

impl Service<Request<Body>> for Streams {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            service.headers.lock().unwrap().clone_from(request.headers());
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match method.as_str() {
                "Echo" => Response::new(request.into_body()),
                "Read" => service.read(request.into_body()).await,
                _ => Status::ok("").into_http(),
            })
        })
    }
}

impl Streams {
    /// Reads when it is told to, and counts.
    async fn read(&self, mut body: Body) -> Response<Body> {
        self.go_on.notified().await;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    self.read.fetch_add(frame.data_ref().map_or(0, Bytes::len), Ordering::SeqCst);
                }
                Err(_) => self.is_cancelled.store(true, Ordering::SeqCst),
            }
        }
        Status::ok("").into_http()
    }
}

async fn serve(service: &Streams) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Routes::new(service.clone());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        Server::builder().add_routes(routes).serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
    });
    (address, serving)
}

fn request(method: &str, body: Body) -> Request<Body> {
    let request = Request::post(format!("/test.Streams/{method}")).version(Version::HTTP_2);
    request.header("content-type", "application/grpc").header("te", "trailers").body(body).unwrap()
}

fn chunks(bytes: usize) -> Body {
    let chunk = Bytes::from(vec![7; 32 << 10]);
    let chunks = futures_util::stream::iter(
        (0..bytes / chunk.len()).map(move |_| Ok::<_, Infallible>(Frame::data(chunk.clone()))),
    );
    Body::new(StreamBody::new(chunks))
}

/// A body that is fed from outside.
fn fed() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, chunks) = mpsc::channel(1);
    let frames = ReceiverStream::new(chunks).map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
    (sender, Body::new(StreamBody::new(frames)))
}

async fn call(upstream: &Upstream, request: Request<Body>) -> Response<Body> {
    let Ok(response) = timeout(PATIENCE, upstream.clone().call(request)).await.unwrap();
    response
}

async fn eventually(mut is_so: impl FnMut() -> bool) {
    let is_reached = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, is_reached).await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_longer_than_all_windows_arrives_when_it_is_read() {
    let service = Streams::default();
    let (address, _serving) = serve(&service).await;
    let upstream = Upstream::remote("streams", address);
    let mut calling = JoinSet::new();
    let caller = upstream.clone();
    calling.spawn(async move { call(&caller, request("Read", chunks(LONG))).await });

    service.go_on.notify_one();
    let response = calling.join_next().await.unwrap().unwrap();

    assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), tonic::Code::Ok);
    assert_eq!(service.read.load(Ordering::SeqCst), LONG);
}

#[tokio::test]
async fn an_answer_that_is_longer_than_all_windows_arrives_while_the_request_is_sent() {
    let (address, _serving) = serve(&Streams::default()).await;
    let upstream = Upstream::remote("streams", address);

    let response = call(&upstream, request("Echo", chunks(LONG))).await;
    let body = timeout(PATIENCE, response.into_body().collect()).await.unwrap().unwrap();

    assert_eq!(body.to_bytes().len(), LONG);
}

#[tokio::test]
async fn each_message_of_a_conversation_is_answered_before_the_next() {
    let (address, _serving) = serve(&Streams::default()).await;
    let upstream = Upstream::remote("streams", address);
    let (says, body) = fed();
    says.send(Bytes::from_static(b"first")).await.unwrap();
    let mut answer = call(&upstream, request("Echo", body)).await.into_body();

    for said in ["first", "second", "third"] {
        if said != "first" {
            says.send(Bytes::from_static(said.as_bytes())).await.unwrap();
        }
        let frame = timeout(PATIENCE, answer.frame()).await.unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), said);
    }
    drop(says);

    let rest = timeout(PATIENCE, answer.collect()).await.unwrap().unwrap();
    assert!(rest.to_bytes().is_empty());
}

#[tokio::test]
async fn a_service_learns_that_its_caller_has_gone_before_the_answer() {
    let service = Streams::default();
    let (address, _serving) = serve(&service).await;
    let upstream = Upstream::remote("streams", address);
    let (says, body) = fed();
    let mut calling = JoinSet::new();
    let caller = upstream.clone();
    calling.spawn(async move { call(&caller, request("Read", body)).await });
    says.send(Bytes::from_static(b"one")).await.unwrap();
    service.go_on.notify_one();
    eventually(|| service.read.load(Ordering::SeqCst) == 3).await;

    calling.shutdown().await;

    // Nobody listens to it any more either.
    timeout(PATIENCE, says.closed()).await.unwrap();
}

#[tokio::test]
async fn a_service_learns_that_its_caller_has_gone_within_the_answer() {
    let (address, _serving) = serve(&Streams::default()).await;
    let upstream = Upstream::remote("streams", address);
    let (says, body) = fed();
    says.send(Bytes::from_static(b"one")).await.unwrap();
    let mut answer = call(&upstream, request("Echo", body)).await.into_body();
    assert!(timeout(PATIENCE, answer.frame()).await.unwrap().is_some());

    drop(answer);

    timeout(PATIENCE, says.closed()).await.unwrap();
}

#[tokio::test]
async fn what_http_1_says_of_a_connection_stays_there() {
    let service = Streams::default();
    let (address, _serving) = serve(&service).await;
    let upstream = Upstream::remote("streams", address);
    let mut request = request("Ok", Body::empty());
    *request.version_mut() = Version::HTTP_11;
    for (name, value) in [
        ("connection", "keep-alive, x-hop"),
        ("keep-alive", "5"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("x-stays", "1"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }

    let response = call(&upstream, request).await;

    assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), tonic::Code::Ok);
    let headers = service.headers.lock().unwrap().clone();
    assert!(headers.contains_key("x-stays"), "{headers:?}");
    for name in ["connection", "keep-alive", "x-hop", "transfer-encoding"] {
        assert!(!headers.contains_key(name), "{headers:?}");
    }
}
