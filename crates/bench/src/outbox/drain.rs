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
use messaging::Bus;
use outbox::Publisher;
use rustix::process::{Pid, Signal, kill_process};
use servers::Postgres;
use store::Store;
use tokio::time::Instant;

/// Who publishes.
const PUBLISHERS: [(&str, Publisher); 2] = [("polling", Publisher::Polling), ("tailing", Publisher::Tailing)];

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
            let mut round = Round::prepare(messages, postgres, broker, publisher).await?;
            let mut of_the_floors = 0.0;
            for subject in in_turn(run, publisher) {
                let seconds = match subject {
                    OURS => round.drain().await?,
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

/// All that is timed, in the order of this run. A log that waits to be read cannot wait for long.
fn in_turn(run: u32, publisher: Publisher) -> [&'static str; 3] {
    let mut subjects = [OURS, PUBLISH, READ];
    if publisher != Publisher::Tailing {
        subjects.rotate_left(run as usize % 3);
    }
    subjects
}

/// A log that a relay tails, and whose reader in the server is stopped, so that what is committed waits in it.
struct Log {
    relay: Relay,
    reader: Pid,
}

impl Log {
    async fn hold(store: &Store, bus: &Bus, line: &Bare) -> Measured<Self> {
        let relay = Relay::start(store, bus, Publisher::Tailing);
        relay.tails().await?;
        let reader = Pid::from_raw(line.log_reader().await?).ok_or("no process has the id 0")?;
        kill_process(reader, Signal::STOP)?;
        Ok(Log { relay, reader })
    }

    fn release(self) -> Measured<Relay> {
        kill_process(self.reader, Signal::CONT)?;
        Ok(self.relay)
    }
}

/// A full outbox, and a stream for each who publishes.
struct Round {
    messages: u32,
    store: Store,
    line: Bare,
    ours: Target,
    floor: Target,
    log: Option<Log>,
}

impl Round {
    async fn prepare(messages: u32, postgres: &Postgres, broker: Broker<'_>, publisher: Publisher) -> Measured<Self> {
        let (url, store) = database(postgres).await?;
        let line = Bare::open(&url).await?;
        let (ours, floor) = (Target::open(broker, "ours").await?, Target::open(broker, "floor").await?);
        let log = match publisher {
            Publisher::Tailing => Some(Log::hold(&store, ours.bus(), &line).await?),
            Publisher::Polling | Publisher::None => None,
        };
        line.fill(messages).await?;
        Ok(Round { messages, store, line, ours, floor, log })
    }

    /// Seconds that the relay takes.
    async fn drain(&mut self) -> Measured<f64> {
        let started = Instant::now();
        let relay = match self.log.take() {
            Some(log) => {
                self.ours.has_received_nothing().await?;
                log.release()?
            }
            None => Relay::start(&self.store, self.ours.bus(), Publisher::Polling),
        };
        relay.has_published(self.messages).await?;
        let seconds = started.elapsed().as_secs_f64();
        relay.stop().await?;
        self.ours.receives(self.messages).await?;
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
