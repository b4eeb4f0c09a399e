//! An edge of rest_over_grpc: its bridge over a service that hands each call on to the backend.

use hello::v1::greeter_client::GreeterClient;
use hello::v1::greeter_server::Greeter;
use hello::v1::{CountRequest, GreetRequest, Greeting, Letter, Number};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rest_over_grpc::serving::RestService;
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

mod hello {
    pub(crate) mod v1 {
        include!(concat!(env!("OUT_DIR"), "/hello.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/hello.v1.serde.rs"));
        include!(concat!(env!("OUT_DIR"), "/hello.v1.rest.rs"));
    }
}

mod rest {
    use super::hello;
    include!(concat!(env!("OUT_DIR"), "/transcoder.rest.rs"));
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, backend] = &arguments[..] else { return Err("LISTEN BACKEND".into()) };
    let channel = Endpoint::from_shared(format!("http://{backend}"))?.tcp_nodelay(true).connect().await?;
    let client = GreeterClient::new(channel).max_decoding_message_size(64 << 20).max_encoding_message_size(64 << 20);
    let bridge = hello::v1::__rest_over_grpc_bridge_Greeter::GreeterRestBridge::externally_authenticated(Edge(client));
    let service = RestService::new(rest::Transcoder::new(bridge)).with_max_body_bytes(4 << 20);
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await });
    }
}

#[derive(Clone)]
struct Edge(GreeterClient<Channel>);

#[tonic::async_trait]
impl Greeter for Edge {
    type CountStream = Streaming<Number>;

    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        self.0.clone().greet(request.into_inner()).await
    }

    async fn send(&self, request: Request<Letter>) -> Result<Response<Letter>, Status> {
        self.0.clone().send(request.into_inner()).await
    }

    async fn count(&self, request: Request<CountRequest>) -> Result<Response<Streaming<Number>>, Status> {
        self.0.clone().count(request.into_inner()).await
    }
}
