//! A process that registers itself with Consul, and prints who comes and goes until it is told to end.
//!
//! `cargo run -p discovery --example greeters -- http://127.0.0.1:8500`, in several terminals.

use discovery::{Change, Consul, ConsulConfig, Registration, RegistrationConfig, deltas};
use lifecycle::{Signals, Tasks};
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let agent = std::env::args().nth(1).ok_or("name a Consul agent")?;

    // A server that says that it serves; the port is known when it is bound.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (_health, service) = tonic_health::server::health_reporter();
    let mut server = Tasks::new();
    server.spawn("server", async move {
        let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
        if let Err(error) = Server::builder().add_service(service).serve_with_incoming(connections).await {
            eprintln!("{error}");
        }
    });

    let consul = Consul::new(ConsulConfig { agents: vec![agent], ..ConsulConfig::default() })?;
    let (mut tasks, mut signals) = (Tasks::new(), Signals::listen()?);
    let config = RegistrationConfig { propagation_ms: 500, ..RegistrationConfig::default() };
    let registration = Registration { version: Some("1".to_owned()), config, ..Registration::new("greeters", address) };
    let mut registered = consul.register(&mut tasks, registration)?;
    registered.registered().await?;

    let mut greeters = consul.watch(&mut tasks, "greeters");
    let mut known = greeters.known().await?;
    for endpoint in known.endpoints.iter() {
        println!("Hello, {}!", endpoint.address);
    }
    loop {
        tokio::select! {
            changed = greeters.changed() => changed?,
            _ = signals.next() => break,
        }
        let now = greeters.now();
        for change in deltas(&known.endpoints, &now.endpoints) {
            match change {
                Change::Insert(endpoint) => println!("Hello, {}!", endpoint.address),
                Change::Update(endpoint) => println!("{} is {:?}.", endpoint.address, endpoint.standing),
                Change::Remove(endpoint) => println!("Goodbye, {}.", endpoint.address),
            }
        }
        known = now;
    }

    // Nobody new comes from here on; then what has begun may finish.
    registered.deregister_unless(async { println!("{}: at once, then.", signals.next().await) }).await?;
    tasks.drain(Duration::from_secs(10)).await?;
    Ok(())
}
