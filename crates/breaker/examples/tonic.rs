//! A breaker around a tonic channel to a server that is not there: it is dialled three times, and then left alone.
//!
//! `cargo run -p breaker --example tonic`

use breaker::{Breaker, BreakerLayer, Config};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Layer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let channel = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    let breaker = Breaker::new(&Config { consecutive_failures: 3, ..Config::default() })?;
    let mut client = HealthClient::new(BreakerLayer::grpc(breaker.clone()).layer(channel));

    for call in 1..=5 {
        let Err(status) = client.check(HealthCheckRequest::default()).await else { continue };
        let by = if status.metadata().contains_key("grpc-retry-pushback-ms") { "the breaker" } else { "the channel" };
        println!("call {call}: {:?} by {by}", status.code());
    }
    println!("{}: {}", breaker.state(), breaker.snapshot().reason);
    Ok(())
}
