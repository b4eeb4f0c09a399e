//! How many messages per second the relay moves, in order, from a full outbox to JetStream.
//!
//! Two floors are measured in the same run: publishing the same messages to the same kind of stream without a database, and reading the
//! same rows without a broker. Both and ours share the same cores, so nothing that does both can be expected to be faster than one after
//! the other: `combined-floor` = 1 / (1 / publish + 1 / read).

use super::Arguments;
use super::site::{Bare, Broker, Relay, database};
use super::target::Target;
use crate::Measured;
use crate::report::{Metric, OURS, Report};
use outbox::Publisher;
use servers::Postgres;
use store::Store;
use tokio::time::Instant;

/// Who publishes. A further publisher is one further line.
const PUBLISHERS: [(&str, Publisher); 1] = [("polling", Publisher::Polling)];

const RATE: Metric = Metric { name: "messages_per_second", unit: "1/s" };
const PUBLISH: &str = "publish-floor";
const READ: &str = "read-floor";
const COMBINED: &str = "combined-floor";

pub(super) async fn measure(
    arguments: &Arguments,
    postgres: &Postgres,
    broker: Broker<'_>,
    report: &mut Report,
) -> Measured<()> {
    let messages = arguments.drained();
    for run in 0..arguments.runs() {
        for (name, publisher) in PUBLISHERS {
            let case = format!("drain R{} {name}", broker.replicas);
            let mut round = Round::prepare(messages, postgres, broker).await?;
            let mut of_the_floors = 0.0;
            for subject in in_turn(run) {
                let seconds = match subject {
                    OURS => round.drain(publisher).await?,
                    PUBLISH => round.publish().await?,
                    _ => round.read().await?,
                };
                report.note(&case, RATE, subject, f64::from(messages) / seconds);
                of_the_floors += if subject == OURS { 0.0 } else { seconds };
            }
            report.note(&case, RATE, COMBINED, f64::from(messages) / of_the_floors);
            round.clear().await?;
        }
    }
    Ok(())
}

/// All that is timed, in the order of this run.
fn in_turn(run: u32) -> [&'static str; 3] {
    let mut subjects = [OURS, PUBLISH, READ];
    subjects.rotate_left(run as usize % 3);
    subjects
}

/// A full outbox, and a stream for each who publishes.
struct Round {
    messages: u32,
    store: Store,
    line: Bare,
    ours: Target,
    floor: Target,
}

impl Round {
    async fn prepare(messages: u32, postgres: &Postgres, broker: Broker<'_>) -> Measured<Self> {
        let (url, store) = database(postgres).await?;
        let line = Bare::open(&url).await?;
        line.fill(messages).await?;
        let (ours, floor) = (Target::open(broker, "ours").await?, Target::open(broker, "floor").await?);
        Ok(Round { messages, store, line, ours, floor })
    }

    /// Seconds that the relay takes.
    async fn drain(&mut self, publisher: Publisher) -> Measured<f64> {
        let started = Instant::now();
        let relay = Relay::start(&self.store, self.ours.bus(), publisher);
        self.ours.receives(self.messages).await?;
        let seconds = started.elapsed().as_secs_f64();
        relay.stop().await?;
        self.ours.is_in_order(self.messages).await?;
        Ok(seconds)
    }

    async fn publish(&mut self) -> Measured<f64> {
        let messages = self.floor.prepare(self.messages).await?;
        let started = Instant::now();
        self.floor.publish(messages).await?;
        Ok(started.elapsed().as_secs_f64())
    }

    async fn read(&self) -> Measured<f64> {
        let started = Instant::now();
        let read = self.line.read().await?;
        if read != self.messages {
            return Err(format!("{read} of {} rows were read", self.messages).into());
        }
        Ok(started.elapsed().as_secs_f64())
    }

    async fn clear(self) -> Measured<()> {
        self.ours.delete().await?;
        self.floor.delete().await
    }
}
