//! Measures how fast a bus publishes to one NATS server, beside a bare client on the same server.
//!
//! `cargo run --release -p messaging --example publish_rate`: pages of 1,024 messages of 512 bytes, each with a key of its own and stored
//! with its id, and then pages of one key, each of whose messages waits for the one before it. The bare client sends the same messages, with the same headers or with nothing but the id, and awaits all acknowledgements
//! concurrently in a window. What the client and the server use of a processor says more than the rate when the machine does other things
//! as well.

use async_nats::jetstream::message::PublishMessage;
use async_nats::{HeaderMap, jetstream};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use messaging::{Bus, Channel, JetStream, JetStreamConfig, Keeps, Message, MessageId};
use std::time::Instant;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CHANNELS: &[Channel] = &[Channel { name: "rate", keeps: Keeps::UntilAcknowledged, consumers: &["nobody"] }];
const PAGE: usize = 1_024;
const PAGES: usize = 100;
const ROUNDS: usize = 5;
const WINDOWS: [usize; 3] = [256, 512, 1_024];
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// One round of one publisher: messages per second, and microseconds of a processor per message.
#[derive(Clone, Copy)]
struct Cost {
    rate: f64,
    client_us: f64,
    server_us: f64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let nats = servers::Nats::start().await;
    let server = nats.pid(0).unwrap_or_default();
    let config = JetStreamConfig { servers: vec![nats.url()], ..JetStreamConfig::default() };
    let bus = Bus::JetStream(JetStream::connect(&config, CHANNELS).await?);
    bus.publish(&pages(false)[0]).await?;
    let bare = jetstream::new(async_nats::connect(nats.url()).await?);

    let all = bare.get_stream("COMANDA_RATE").await?.get_raw_message(1).await?.headers;
    let only_id = HeaderMap::new();

    let mut costs: Vec<(String, Vec<Cost>)> =
        vec![("bus".to_owned(), Vec::new()), ("bus, one key".to_owned(), Vec::new())];
    costs.extend(WINDOWS.map(|window| (format!("same messages, window {window}"), Vec::new())));
    costs.extend(WINDOWS.map(|window| (format!("only ids, window {window}"), Vec::new())));
    for _ in 0..ROUNDS {
        for (place, (_, costs)) in costs.iter_mut().enumerate() {
            let pages = pages(place == 1);
            let (started, client_before, server_before) =
                (Instant::now(), busy_us("self"), busy_us(&server.to_string()));
            match place.checked_sub(2) {
                None => ours(&bus, &pages).await?,
                Some(peer @ 0..3) => theirs(&bare, &pages, &all, WINDOWS[peer]).await?,
                Some(peer) => theirs(&bare, &pages, &only_id, WINDOWS[peer - 3]).await?,
            }
            let messages = (PAGE * PAGES) as f64;
            costs.push(Cost {
                rate: messages / started.elapsed().as_secs_f64(),
                client_us: (busy_us("self") - client_before) / messages,
                server_us: (busy_us(&server.to_string()) - server_before) / messages,
            });
        }
    }
    for (who, costs) in costs {
        let (rate, client, server) =
            (median(&costs, |it| it.rate), median(&costs, |it| it.client_us), median(&costs, |it| it.server_us));
        println!(
            "{who:25} {rate:7.0} messages/s, {client:5.1} us of the client and {server:5.1} us of the server for each"
        );
    }
    Ok(())
}

fn pages(have_one_key: bool) -> Vec<Vec<Message>> {
    let message = |_| {
        let key = if have_one_key { "key".to_owned() } else { MessageId::generate().to_string() };
        Message::new("rate", "example.Rate", key, "ORDER:ValidateConsumerInfo:1".to_owned(), vec![7; 512])
    };
    (0..PAGES).map(|_| (0..PAGE).map(message).collect()).collect()
}

async fn ours(bus: &Bus, pages: &[Vec<Message>]) -> Result<(), Failure> {
    for page in pages {
        bus.publish(page).await?;
    }
    Ok(())
}

async fn theirs(
    bare: &jetstream::Context,
    pages: &[Vec<Message>],
    headers: &HeaderMap,
    window: usize,
) -> Result<(), Failure> {
    let mut in_flight = FuturesUnordered::new();
    for message in pages.iter().flatten() {
        let mut headers = headers.clone();
        headers.insert(MESSAGE_ID, message.id.to_string());
        let publish = PublishMessage::build().payload(message.payload.clone().into()).headers(headers);
        in_flight.push(bare.send_publish(format!("comanda.rate.{}", message.key), publish).await?.into_future());
        if in_flight.len() >= window
            && let Some(stored) = in_flight.next().await
        {
            stored?;
        }
    }
    while let Some(stored) = in_flight.next().await {
        stored?;
    }
    Ok(())
}

/// What a process has used of the processors so far: the 14th and 15th field of `/proc/ID/stat`, in hundredths of a second.
fn busy_us(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() * 10_000.0
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
