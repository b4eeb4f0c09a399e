//! How long it takes from the commit of a message until a consumer has it.
//!
//! Messages are committed at a steady rate, each in a change of its own, whether or not the one before is done. The time begins when the
//! commit is answered and ends when the consumer is handed the message. The relay runs in the committing process, where the commit wakes
//! it, or on a store of its own as in another process, where it finds what is new by polling or in the log. The floor is the broker alone: from the
//! call that publishes a message to its delivery.

use super::Arguments;
use super::site::{Broker, CONSUMER, LATENCY, PAYLOAD_BYTES, Relay, bus, database, key, open};
use crate::Measured;
use crate::report::{Metric, OURS, Report, percentile};
use messaging::{Bus, Message, Subscription};
use outbox::Publisher;
use servers::{Nats, Postgres};
use std::time::Duration;
use store::{Change, Store};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

const P50: Metric = Metric { name: "commit_to_delivered_p50", unit: "ms" };
const P99: Metric = Metric { name: "commit_to_delivered_p99", unit: "ms" };
const FLOOR: &str = "publish-floor";

/// Messages per second.
const RATES: [u32; 2] = [100, 1_000];
/// How long everything that was committed may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(20);

/// Where the relay runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    SameProcess,
    OtherProcess,
}

/// Who publishes, and where. One that tails is woken by the log, wherever it is.
const CASES: [(&str, Place, Publisher); 3] = [
    ("polling, same process", Place::SameProcess, Publisher::Polling),
    ("polling, other process", Place::OtherProcess, Publisher::Polling),
    ("tailing", Place::OtherProcess, Publisher::Tailing),
];

pub(super) async fn measure(
    arguments: &Arguments,
    postgres: &Postgres,
    nats: &Nats,
    report: &mut Report,
) -> Measured<()> {
    let (broker, within) = (Broker { nats, replicas: 1 }, arguments.latency_within());
    for run in 0..arguments.runs() {
        let (url, store) = database(postgres).await?;
        let mut line = Line::open(broker, &format!("floor-{run}")).await?;
        let way = Way::Publish(line.bus.clone());
        let floors = [line.measure(RATES[0], within, &way).await?, line.measure(RATES[1], within, &way).await?];
        for (number, (name, place, publisher)) in (0..).zip(CASES) {
            let mut line = Line::open(broker, &format!("case-{number}-{run}")).await?;
            let relays_store = if place == Place::OtherProcess { open(&url).await? } else { store.clone() };
            let relay = Relay::start(&relays_store, &line.bus, publisher);
            if publisher == Publisher::Tailing {
                relay.tails().await?;
            }
            for (rate, floor) in RATES.into_iter().zip(&floors) {
                let case = format!("{rate}/s {name}");
                let ours = line.measure(rate, within, &Way::Commit(store.clone())).await?;
                for (subject, sorted) in [(OURS, &ours), (FLOOR, floor)] {
                    report.note(&case, P50, subject, percentile(sorted, 0.50));
                    report.note(&case, P99, subject, percentile(sorted, 0.99));
                }
            }
            relay.stop().await?;
        }
    }
    Ok(())
}

/// How a message goes out.
#[derive(Clone)]
enum Way {
    Commit(Store),
    Publish(Bus),
}

impl Way {
    /// Sends a message; returns the moment from which its time counts.
    async fn send(self, message: Message) -> Measured<Instant> {
        match self {
            Way::Commit(store) => {
                let mut change = Change::new();
                outbox::append(&mut change, &message);
                store.commit(change).await?;
                Ok(Instant::now())
            }
            Way::Publish(bus) => {
                let called = Instant::now();
                bus.publish(&[message]).await?;
                Ok(called)
            }
        }
    }
}

/// A channel and who consumes it.
struct Line {
    bus: Bus,
    reader: Subscription,
}

impl Line {
    async fn open(broker: Broker<'_>, prefix: &str) -> Measured<Self> {
        let bus = bus(broker, prefix).await?;
        // A bus of its own, as a consumer in another process has.
        let reader = self::bus(broker, prefix).await?.subscribe(LATENCY, CONSUMER).await?;
        let mut line = Line { bus, reader };
        line.bus.publish(&[message(0)]).await?;
        line.receive(1).await?;
        Ok(line)
    }

    /// How long messages at a steady rate took, in milliseconds, sorted.
    async fn measure(&mut self, rate: u32, within: Duration, way: &Way) -> Measured<Vec<f64>> {
        let messages = rate * u32::try_from(within.as_millis())? / 1_000;
        let (sent, received) = tokio::try_join!(send(messages, rate, way), self.receive(messages))?;
        let took =
            |(sent, received): (&Instant, &Instant)| received.saturating_duration_since(*sent).as_secs_f64() * 1e3;
        let mut took: Vec<f64> = sent.iter().zip(&received).map(took).collect();
        took.sort_by(f64::total_cmp);
        Ok(took)
    }

    /// When each of so many messages arrived.
    async fn receive(&mut self, messages: u32) -> Measured<Vec<Instant>> {
        let mut received: Vec<Option<Instant>> = vec![None; messages as usize];
        while received.iter().any(Option::is_none) {
            let delivery =
                timeout(ARRIVES_WITHIN, self.reader.next()).await.map_err(|_elapsed| "no message arrives")??;
            let now = Instant::now();
            let place: usize = delivery.message().effect_id.parse()?;
            received.get_mut(place).ok_or("a message that was not sent")?.get_or_insert(now);
            delivery.acknowledge();
        }
        Ok(received.into_iter().flatten().collect())
    }
}

/// Sends so many messages; returns when the time of each began.
async fn send(messages: u32, rate: u32, way: &Way) -> Measured<Vec<Instant>> {
    let (started, mut sending) = (Instant::now(), JoinSet::new());
    for number in 0..messages {
        sleep_until(started + Duration::from_secs(1) * number / rate).await;
        let (way, message) = (way.clone(), message(number));
        sending.spawn(async move { way.send(message).await.map(|at| (number, at)) });
    }
    let mut sent = Vec::new();
    for ended in sending.join_all().await {
        sent.push(ended?);
    }
    sent.sort_unstable();
    Ok(sent.into_iter().map(|(_, at)| at).collect())
}

fn message(number: u32) -> Message {
    Message::new(LATENCY, "bench.v1.Message", key(number), number.to_string(), vec![0xab; PAYLOAD_BYTES])
}
