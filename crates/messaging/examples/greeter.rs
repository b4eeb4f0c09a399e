//! A service that greets: it takes names from one channel and says something to each in another.
//!
//! `cargo run -p messaging --example greeter -- nats://127.0.0.1:4222 Ada Grace`, or with a file in place of the server.

use messaging::{Bus, Channel, Embedded, JetStream, JetStreamConfig, Keeps, Message};
use std::convert::Infallible;
use store::Store;

type Failure = Box<dyn std::error::Error>;

const CHANNELS: &[Channel] = &[
    Channel { name: "names", keeps: Keeps::UntilAcknowledged, consumers: &["greeter"] },
    Channel { name: "greetings", keeps: Keeps::UntilAcknowledged, consumers: &["printer"] },
];

async fn open(place: String) -> Result<Bus, Failure> {
    if place.starts_with("nats://") {
        let (prefix, name) = ("hello".to_owned(), "greeter".to_owned());
        let config =
            JetStreamConfig { servers: vec![place], prefix, name, payload_bytes_max: 1 << 20, ..Default::default() };
        Ok(Bus::JetStream(JetStream::connect(&config, CHANNELS).await?))
    } else {
        let store = Store::open_sqlite(place.as_ref(), &store::Config::default())?;
        Ok(Bus::Embedded(Embedded::open(store, CHANNELS).await?))
    }
}

/// Acknowledges a name when its greeting is stored. Whoever dies in between greets twice, with the same effect id.
async fn greet(bus: &Bus) -> Result<Infallible, Failure> {
    let mut names = bus.subscribe("names", "greeter").await?;
    loop {
        let delivery = names.next().await?;
        let name = delivery.message();
        let text = format!("Hello, {}!", name.key);
        let greeting =
            Message::new("greetings", "Greeting", name.key.clone(), format!("GREET:{}", name.effect_id), text.into());
        bus.publish(&[greeting.caused_by(name)]).await?;
        delivery.acknowledge();
    }
}

async fn print(bus: &Bus, mut count: usize) -> Result<(), Failure> {
    let mut greetings = bus.subscribe("greetings", "printer").await?;
    while count > 0 {
        let delivery = greetings.next().await?;
        println!("{}", String::from_utf8_lossy(&delivery.message().payload));
        delivery.acknowledge();
        count -= 1;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let bus = open(arguments.next().ok_or("name a NATS server or a file, and whom to greet")?).await?;
    let name = |name: String| Message::new("names", "Name", name.clone(), format!("NAME:{name}"), Vec::new());
    let names: Vec<Message> = arguments.map(name).collect();

    bus.publish(&names).await?;
    tokio::select! {
        printed = print(&bus, names.len()) => printed,
        greeted = greet(&bus) => greeted.map(|never| match never {}),
    }
}
