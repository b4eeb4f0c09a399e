//! A service of all four kinds of calls, which says what it hears; in this process, or at an address of its own.

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use rpc::{Guarded, Slot, Upstream};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request as Call, Response as Answered, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

pub(crate) const PARROT: &str = Parrot::NAME;
/// What interop clients send to hear it in the headers of the answer, and in its trailers.
pub(crate) const INITIAL: &str = "x-grpc-test-echo-initial";
pub(crate) const TRAILING: &str = "x-grpc-test-echo-trailing-bin";
/// The message of the interop case `special_status_message`.
pub(crate) const SPECIAL: &str = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

/// Says what it hears. `fail` fails with [`SPECIAL`], `sleep` takes for ever, `timeout` tells the timeout of the call `caller` who makes it and `ids` by what it is known, and a number that is watched
/// counts up to it; `open` never ends, and `broken` fails after two.
#[derive(Clone, Default)]
pub(crate) struct Parrot {
    /// Calls without an end that were given up.
    pub(crate) given_up: Arc<AtomicUsize>,
    /// Such calls that have begun.
    pub(crate) begun: Arc<AtomicUsize>,
}

/// Where a parrot sits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Perch {
    /// In this process.
    Here,
    /// Behind HTTP/2.
    Away,
}

/// Keeps a parrot where it is.
pub(crate) struct Perched {
    _slot: Option<Slot>,
    _server: JoinSet<()>,
}

impl Perch {
    pub(crate) const BOTH: [Perch; 2] = [Perch::Here, Perch::Away];

    pub(crate) async fn put(self, parrot: Parrot) -> (Upstream, Perched) {
        let mut server = JoinSet::new();
        match self {
            Perch::Here => {
                let (upstream, slot) = Upstream::in_process("parrot");
                slot.fill(Guarded::new(Routes::new(parrot), rpc::Config::default()));
                (upstream, Perched { _slot: Some(slot), _server: server })
            }
            Perch::Away => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let incoming = TcpListenerStream::new(listener);
                server.spawn(async move {
                    Server::builder().add_service(parrot).serve_with_incoming(incoming).await.unwrap();
                });
                (Upstream::remote("parrot", address), Perched { _slot: None, _server: server })
            }
        }
    }
}

impl Parrot {
    async fn say(self, call: Call<String>) -> Result<Answered<String>, Status> {
        match call.get_ref().as_str() {
            "fail" => Err(Status::new(Code::DataLoss, SPECIAL)),
            "sleep" => {
                let _held = Held::new(&self);
                std::future::pending().await
            }
            "timeout" => {
                let timeout = call.metadata().get("grpc-timeout").map(|value| value.to_str().unwrap().to_owned());
                Ok(Answered::new(timeout.unwrap_or_default()))
            }
            "ids" => {
                let of = |name| call.metadata().get(name).map_or("", |value| value.to_str().unwrap());
                Ok(Answered::new(format!("{} {}", of("x-request-id"), of("traceparent"))))
            }
            "caller" => Ok(Answered::new(format!("{:?}", call.extensions().get::<gateway::Peer>()))),
            _ => Ok(Answered::new(call.into_inner())),
        }
    }

    async fn count(self, call: Call<String>) -> Result<Answered<Strings>, Status> {
        let first_two = stream::iter(["1", "2"].map(|text| Ok(text.to_owned())));
        let strings: Strings = match call.get_ref().as_str() {
            "open" => {
                let held = Held::new(&self);
                first_two.chain(stream::pending()).inspect(move |_| held.keep()).boxed()
            }
            "broken" => first_two.chain(stream::iter([Err(Status::aborted("broken by intent"))])).boxed(),
            text => {
                let last: u32 = text.parse().map_err(|_| Status::invalid_argument("is no number"))?;
                stream::iter((1..=last).map(|number| Ok(number.to_string()))).boxed()
            }
        };
        Ok(Answered::new(strings))
    }

    async fn join(self, call: Call<Streaming<String>>) -> Result<Answered<String>, Status> {
        let mut heard = Vec::new();
        let mut messages = call.into_inner();
        while let Some(message) = messages.message().await? {
            heard.push(message);
        }
        Ok(Answered::new(heard.join("|")))
    }

    async fn repeat(self, call: Call<Streaming<String>>) -> Result<Answered<Strings>, Status> {
        let held = Held::new(&self);
        Ok(Answered::new(call.into_inner().inspect(move |_| held.keep()).boxed()))
    }
}

type Strings = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// A call without an end.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(parrot: &Parrot) -> Self {
        parrot.begun.fetch_add(1, Ordering::SeqCst);
        Held(Arc::clone(&parrot.given_up))
    }

    /// Does nothing, in a place that owns the call.
    fn keep(&self) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl NamedService for Parrot {
    const NAME: &'static str = "interop.v1.Parrot";
}

impl Service<Request<Body>> for Parrot {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let parrot = self.clone();
        let (initial, trailing) = (request.headers().get(INITIAL).cloned(), request.headers().get(TRAILING).cloned());
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
            let mut response = match request.uri().path().rsplit('/').next().unwrap() {
                "Say" => grpc.unary(service_fn(|call| parrot.clone().say(call)), request).await,
                "Count" => grpc.server_streaming(service_fn(|call| parrot.clone().count(call)), request).await,
                "Join" => grpc.client_streaming(service_fn(|call| parrot.clone().join(call)), request).await,
                "Repeat" => grpc.streaming(service_fn(|call| parrot.clone().repeat(call)), request).await,
                _ => Status::unimplemented("").into_http(),
            };
            if let Some(initial) = initial {
                response.headers_mut().insert(INITIAL, initial);
            }
            Ok(response.map(|body| Body::new(body.map_frame(move |frame| with_trailer(frame, trailing.as_ref())))))
        })
    }
}

fn with_trailer(frame: Frame<bytes::Bytes>, trailing: Option<&HeaderValue>) -> Frame<bytes::Bytes> {
    let Some(trailing) = trailing else { return frame };
    match frame.into_trailers() {
        Ok(mut trailers) => {
            trailers.insert(TRAILING, trailing.clone());
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}
