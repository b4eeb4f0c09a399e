//! The service of gRPC's interoperability tests.

use crate::echo::Echo;
use generated::test_service_server::{TestService, TestServiceServer};
use generated::{
    EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse,
};
use lifecycle::Tasks;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};
use tower::layer::layer_fn;

#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "generated"
)]
mod generated {
    tonic::include_proto!("grpc.testing");
}

/// Bytes of a message that clients send at most: the large cases send 271,828.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// The service; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interop {
    open: Arc<AtomicUsize>,
}

/// A call that is being served.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Interop {
    /// Serves it on a port of its own.
    pub(crate) async fn serve(self, tasks: &mut Tasks) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<TestServiceServer<Interop>>().await;
        let service = TestServiceServer::new(self).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let server = Server::builder().layer(layer_fn(Echo::new)).add_service(health_service).add_service(service);
        let served = server.serve_with_incoming(TcpListenerStream::new(listener));
        tasks.spawn("interop", async move { served.await.expect("the port stays open") });
        address
    }

    /// Calls that have begun and not ended.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn begin(&self) -> Open {
        self.open.fetch_add(1, Ordering::SeqCst);
        Open(Arc::clone(&self.open))
    }
}

fn asked_for(status: Option<EchoStatus>) -> Result<(), Status> {
    match status {
        Some(EchoStatus { code, message }) if code != 0 => Err(Status::new(Code::from_i32(code), message)),
        Some(_) | None => Ok(()),
    }
}

fn zeros(size: i32) -> Result<Option<Payload>, Status> {
    let size = usize::try_from(size).map_err(|_| Status::invalid_argument("a size is not negative"))?;
    Ok(Some(Payload { body: vec![0; size], ..Payload::default() }))
}

async fn output(asked: ResponseParameters) -> Result<StreamingOutputCallResponse, Status> {
    let interval = Duration::from_micros(asked.interval_us.try_into().unwrap_or_default());
    tokio::time::sleep(interval).await;
    Ok(StreamingOutputCallResponse { payload: zeros(asked.size)? })
}

#[tonic::async_trait]
impl TestService for Interop {
    type StreamingOutputCallStream = Answers<StreamingOutputCallResponse>;
    type FullDuplexCallStream = Answers<StreamingOutputCallResponse>;

    async fn empty_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(&self, request: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
        let request = request.into_inner();
        asked_for(request.response_status)?;
        Ok(Response::new(SimpleResponse { payload: zeros(request.response_size)? }))
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<Self::StreamingOutputCallStream>, Status> {
        let (open, request) = (self.begin(), request.into_inner());
        let end = tokio_stream::once(asked_for(request.response_status)).filter_map(Result::err).map(Err);
        let answers = tokio_stream::iter(request.response_parameters).then(output).chain(end);
        Ok(Response::new(Box::pin(answers.map(move |answer| {
            let _open = &open;
            answer
        }))))
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let _open = self.begin();
        let mut requests = request.into_inner();
        let mut total = 0;
        while let Some(request) = requests.message().await? {
            total += request.payload.map_or(0, |payload| payload.body.len());
        }
        let aggregated_payload_size = i32::try_from(total).map_err(|_| Status::out_of_range("too much"))?;
        Ok(Response::new(StreamingInputCallResponse { aggregated_payload_size }))
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Self::FullDuplexCallStream>, Status> {
        let state = (self.begin(), request.into_inner(), Vec::new());
        let answers = futures_util::stream::try_unfold(state, |(open, mut requests, mut asked)| async move {
            loop {
                if let Some(next) = asked.pop() {
                    return Ok(Some((output(next).await?, (open, requests, asked))));
                }
                let Some(request) = requests.message().await? else { return Ok(None) };
                asked_for(request.response_status)?;
                asked = request.response_parameters;
                asked.reverse();
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn unimplemented_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented(""))
    }
}
