//! An upstream in another process, here behind a port of its own.

#![expect(clippy::unwrap_used, reason = "what is beside the test functions is a part of tests too")]

use http::{Request, Response};
use rpc::Upstream;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::Service;

/// A service that says OK.
#[derive(Clone)]
struct Answers;

impl NamedService for Answers {
    const NAME: &'static str = "test.Answers";
}

impl Service<Request<Body>> for Answers {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Status::ok("").into_http()))
    }
}

/// A server that ends in order when it is told to.
struct Serving {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinSet<()>,
}

impl Serving {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.join_all().await;
    }
}

/// Serves on an address, which may have been used a moment ago.
fn serve(address: SocketAddr) -> Serving {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let listener: TcpListener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_routes(Routes::new(Answers));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut running = JoinSet::new();
    running.spawn(async {
        let stopped = async { drop(stopped.await) };
        server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped).await.unwrap();
    });
    Serving { address, stop, running }
}

async fn call(upstream: &Upstream) -> Status {
    let request = Request::post("/test.Answers/Answer").body(Body::empty()).unwrap();
    let Ok(response) = upstream.clone().call(request).await;
    Status::from_header_map(response.headers()).unwrap()
}

#[tokio::test]
async fn a_service_of_another_process_can_go_and_come_back() {
    let serving = serve("127.0.0.1:0".parse().unwrap());
    let address = serving.address;
    let upstream = Upstream::remote("answers", address);
    assert_eq!(call(&upstream).await.code(), Code::Ok);
    assert!(upstream.is_up());

    serving.stop().await;
    let away = call(&upstream).await;
    assert_eq!(
        (away.code(), away.message()),
        (Code::Unavailable, "the answers service cannot be reached; call again in a second")
    );
    assert_eq!(away.get_details_error_info().unwrap().reason, "SERVICE_UNAVAILABLE");
    assert!(!upstream.is_up());

    let _serving = serve(address);
    let is_back = async {
        while !upstream.is_up() {
            upstream.clone().changed().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), is_back).await.unwrap();
    assert_eq!(call(&upstream).await.code(), Code::Ok);
}
