//! A breaker around an HTTP server that fails: the first calls reach it, the others are refused without asking it.
//!
//! `cargo run -p breaker --example hyper`

use breaker::{Breaker, BreakerLayer, Config, Rejected};
use http::{Request, Response, StatusCode};
use std::convert::Infallible;
use std::future::ready;
use tower::{Layer, Service};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Stands for a client, such as hyper_util::client::legacy::Client.
    let client = tower::service_fn(|_: Request<String>| {
        let mut answer = Response::new(String::new());
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        ready(Ok::<_, Infallible>(answer))
    });
    let breaker = Breaker::new(&Config { consecutive_failures: 3, ..Config::default() })?;
    let mut client = BreakerLayer::http(breaker.clone()).layer(client);

    for call in 1..=5 {
        let answer = client.call(Request::new(String::new())).await?;
        let by = if answer.extensions().get::<Rejected>().is_some() { "the breaker" } else { "the server" };
        println!("call {call}: {} by {by}", answer.status().as_u16());
    }
    println!("{}: {}", breaker.state(), breaker.snapshot().reason);
    Ok(())
}
