//! The service behind all gateways, in a process of its own: it does next to nothing, so that what is measured is the way to it.

use crate::Measured;
use crate::hello::greeter_server::{Greeter, GreeterServer};
use crate::hello::{CountRequest, DESCRIPTORS, GreetRequest, Greeting, Letter, Number};
use clap::Args;
use std::net::SocketAddr;
use std::pin::Pin;
use tokio_stream::{Iter, Stream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Bytes of a message at most: JSON of 1 MiB is less as protobuf.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// The process that is the service.
#[derive(Debug, Clone, Args)]
pub(crate) struct HelloArguments {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
}

/// Serves until the process is killed.
pub(crate) async fn serve(arguments: &HelloArguments) -> Measured<()> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<GreeterServer<Hello>>().await;
    let reflection =
        tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS).build_v1()?;
    let greeter = GreeterServer::new(Hello).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let server = Server::builder().tcp_nodelay(true).add_service(health).add_service(reflection).add_service(greeter);
    Ok(server.serve(arguments.listen).await?)
}

struct Hello;

#[tonic::async_trait]
impl Greeter for Hello {
    type CountStream = Numbers;

    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        Ok(Response::new(Greeting { message: format!("Hello {}", request.get_ref().name) }))
    }

    async fn send(&self, request: Request<Letter>) -> Result<Response<Letter>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn count(&self, request: Request<CountRequest>) -> Result<Response<Numbers>, Status> {
        Ok(Response::new(Numbers(tokio_stream::iter(1..=request.get_ref().until))))
    }
}

/// Counts as fast as it is read.
struct Numbers(Iter<std::ops::RangeInclusive<i32>>);

impl Stream for Numbers {
    type Item = Result<Number, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.0).poll_next(context);
        next.map(|value| value.map(|value| Ok(Number { value, name: format!("number {value}") })))
    }
}
