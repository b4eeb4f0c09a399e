//! An upstream and its guard, called through a generated-style client.

#![expect(clippy::unwrap_used, reason = "what is beside the test functions is a part of tests too")]

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use rpc::{Config, Guarded, Slot, Upstream};
use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::Service;

/// A service whose methods do what their names say.
#[derive(Clone)]
struct Acts;

impl NamedService for Acts {
    const NAME: &'static str = "test.Acts";
}

impl Service<Request<Body>> for Acts {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            Ok(match method.as_str() {
                "Answer" => Status::ok("").into_http(),
                "Hang" => pending().await,
                "Panic" => panic!("by intent"),
                "Stream" => stream(futures_util::stream::pending()),
                "PanicLater" => stream(futures_util::stream::once(async { panic!("by intent") })),
                other => Status::unimplemented(other).into_http(),
            })
        })
    }
}

fn stream(frames: impl futures_util::Stream<Item = Result<Frame<Bytes>, Status>> + Send + 'static) -> Response<Body> {
    let begun = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\0")))]);
    Response::new(Body::new(StreamBody::new(begun.chain(frames))))
}

fn upstream() -> (Upstream, Slot) {
    let (upstream, slot) = Upstream::in_process("acts");
    let config = Config { timeout_default_ms: 1_000, timeout_max_ms: 5_000, ..Config::default() };
    slot.fill(Guarded::new(Routes::new(Acts), config));
    (upstream, slot)
}

/// Calls a method and waits for its status, wherever that stands.
async fn call(upstream: &Upstream, method: &str, timeout: Option<&str>) -> Status {
    let mut request = Request::post(format!("/test.Acts/{method}"));
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    let Ok(response) = upstream.clone().call(request.body(Body::empty()).unwrap()).await;
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let trailers = response.into_body().collect().await.unwrap().trailers().cloned().unwrap_or_default();
    Status::from_header_map(&trailers).unwrap_or_else(|| Status::unknown("no status"))
}

#[tokio::test]
async fn a_service_can_come_and_go() {
    let (upstream, slot) = upstream();
    assert_eq!(call(&upstream, "Answer", None).await.code(), Code::Ok);
    assert!(upstream.is_up());

    slot.clear();

    let away = call(&upstream, "Answer", None).await;
    assert_eq!(
        (away.code(), away.message()),
        (Code::Unavailable, "the acts service is not running; call again in a second")
    );
    assert_eq!(away.get_details_error_info().unwrap().reason, "SERVICE_UNAVAILABLE");
    assert_eq!(away.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    assert!(!upstream.is_up());
}

#[tokio::test]
async fn a_change_is_seen_once() {
    let (mut upstream, slot) = Upstream::in_process("acts");
    slot.fill(Guarded::new(Routes::new(Acts), Config::default()));

    upstream.changed().await;

    assert!(upstream.is_up());
    assert!(tokio::time::timeout(Duration::from_millis(1), upstream.changed()).await.is_err());
}

#[tokio::test]
async fn a_dropped_slot_takes_its_service_along() {
    let (upstream, slot) = upstream();

    drop(slot);

    assert_eq!(call(&upstream, "Answer", None).await.code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_timeout_or_at_the_default_or_at_the_longest() {
    let (upstream, _slot) = upstream();
    for (method, timeout, after) in [
        ("Hang", Some("100m"), 100),
        ("Hang", None, 1_000),
        ("Hang", Some("1H"), 5_000),
        ("Stream", Some("100m"), 100),
        ("Stream", Some("1H"), 5_000),
    ] {
        let begun = Instant::now();

        let status = call(&upstream, method, timeout).await;

        assert_eq!(
            (status.code(), begun.elapsed().as_millis()),
            (Code::DeadlineExceeded, after),
            "{method} {timeout:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_timeout_goes_on() {
    let (upstream, _slot) = upstream();

    let endless = tokio::time::timeout(Duration::from_secs(3600), call(&upstream, "Stream", None)).await;

    assert!(endless.is_err());
}

#[tokio::test]
async fn a_nonsense_timeout_is_refused() {
    let (upstream, _slot) = upstream();

    assert_eq!(call(&upstream, "Answer", Some("5X")).await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_tells_nothing() {
    let (upstream, _slot) = upstream();
    for method in ["Panic", "PanicLater"] {
        let status = call(&upstream, method, None).await;

        assert_eq!(status.code(), Code::Internal, "{method}");
        assert!(!status.message().contains("intent"), "{}", status.message());
    }
}

#[test]
fn it_is_the_transport_of_a_generated_client() {
    fn check<T>(_: tonic::client::Grpc<T>)
    where
        T: tonic::client::GrpcService<Body>,
        T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        T::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
        <T::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
    }
    check(tonic::client::Grpc::new(Upstream::in_process("acts").0));
}
