//! Whether tables grow, and the drain slows down, as messages go through outbox, obligations and inbox.
//!
//! Commands are committed with an obligation each; the relay publishes them; an inbox answers each, and its reply goes through the outbox
//! again; the reply settles the obligation. So each command is two rows of the outbox, one obligation that comes and goes, and one row of
//! the inbox that stays. For a part of it a transaction is held open that keeps every vacuum from removing anything. Before and after,
//! and meanwhile, a full outbox is drained on the same tables; after it in turn with one of a new database on the same server, which has
//! as much else to do then.

use super::Arguments;
use super::site::{Bare, Broker, COMMANDS, CONSUMER, PAYLOAD_BYTES, REPLIES, Relay, bus, database, stream_name};
use super::target::Target;
use crate::Measured;
use crate::report::{Metric, OURS, Report, spread};
use async_nats::jetstream::{self, Context};
use lifecycle::Tasks;
use messaging::{Bus, Message};
use outbox::{Consumer, Handle, Inbox, Outcome, Publisher, Respond, Response};
use servers::{Nats, Postgres, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{Change, Store};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const DRAINED: Metric = Metric { name: "messages_per_second", unit: "1/s" };
const KEPT_UP: Metric = Metric { name: "drain_end_to_start", unit: "ratio" };
const AS_NEW: Metric = Metric { name: "drain_end_to_new_database", unit: "ratio" };
const FLOW: Metric = Metric { name: "commands_per_second", unit: "1/s" };
const OUTBOX: Metric = Metric { name: "outbox_bytes", unit: "MB" };
const OBLIGATION: Metric = Metric { name: "obligation_bytes", unit: "MB" };
const INBOX: Metric = Metric { name: "inbox_bytes_per_row", unit: "B" };

/// Parts in which the commands are sent; the tables are measured after each.
const PARTS: u64 = 10;
/// The parts during which a transaction is held open.
const HELD: std::ops::Range<u64> = 3..6;
/// Who sends, at once.
const SENDERS: u64 = 16;
/// Commands in one change.
const AT_ONCE: u64 = 10;
/// Commands without a reply at most: so few that none of them is sent again because the machine is slow.
const WAITING_MAX: u64 = 1_000;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long nothing may come back.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// Drains whose median is the drain rate.
const DRAINS: usize = 5;
const END_WITHIN: Duration = Duration::from_secs(20);

pub(super) async fn measure(
    arguments: &Arguments,
    postgres: &Postgres,
    nats: &Nats,
    report: &mut Report,
) -> Measured<()> {
    let broker = Broker { nats, replicas: 1 };
    let drained = arguments.drained().min(50_000);
    let mut world = World::open(postgres, broker).await?;
    let mut held: Option<Session> = None;
    let at_start = world.backlog.drain_rates(drained).await?;
    note_all(report, "bloat drain at start", &at_start);
    world.start().await?;
    for part in 0..PARTS {
        if part == HELD.start {
            held = Some(hold(postgres, &world.backlog.url).await);
        }
        if part == HELD.end {
            drop(held.take());
        }
        let started = Instant::now();
        let commands = arguments.messages() / PARTS;
        world.send(commands).await?;
        let case = format!("bloat at {} %{}", (part + 1) * 100 / PARTS, if held.is_some() { " (held)" } else { "" });
        report.note(&case, FLOW, OURS, commands as f64 / started.elapsed().as_secs_f64());
        world.note_sizes(report, &case, (part + 1) * commands).await?;
        world.forget_published().await?;
        if part + 1 == HELD.end {
            world.stop().await?;
            note_all(report, "bloat drain while held", &world.backlog.drain_rates(drained).await?);
            world.start().await?;
        }
    }
    world.stop().await?;
    let mut new = Backlog::open(postgres, broker).await?;
    let (mut at_end, mut of_new) = (Vec::new(), Vec::new());
    for _ in 0..DRAINS {
        at_end.push(world.backlog.drain_rate(drained).await?);
        of_new.push(new.drain_rate(drained).await?);
    }
    note_all(report, "bloat drain at end", &at_end);
    note_all(report, "bloat drain of a new one", &of_new);
    report.note("bloat", KEPT_UP, OURS, spread(&at_end).0 / spread(&at_start).0);
    report.note("bloat", AS_NEW, OURS, spread(&at_end).0 / spread(&of_new).0);
    Ok(())
}

fn note_all(report: &mut Report, case: &str, rates: &[f64]) {
    for rate in rates {
        report.note(case, DRAINED, OURS, *rate);
    }
}

/// A transaction that has an id and a snapshot, and does nothing.
async fn hold(postgres: &Postgres, url: &str) -> Session {
    let mut session = postgres.session(url);
    session.say("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id();").await;
    session
}

/// A database, and where its outbox is drained to.
struct Backlog {
    url: String,
    store: Store,
    line: Bare,
    target: Target,
}

impl Backlog {
    async fn open(postgres: &Postgres, broker: Broker<'_>) -> Measured<Self> {
        let (url, store) = database(postgres).await?;
        let (line, target) = (Bare::open(&url).await?, Target::open(broker, "bloat").await?);
        Ok(Backlog { url, store, line, target })
    }

    /// Drains a full outbox; messages per second.
    async fn drain_rate(&mut self, messages: u32) -> Measured<f64> {
        self.line.fill(messages).await?;
        let started = Instant::now();
        let relay = Relay::start(&self.store, self.target.bus(), Publisher::Polling);
        self.target.receives(messages).await?;
        let rate = f64::from(messages) / started.elapsed().as_secs_f64();
        relay.stop().await?;
        Ok(rate)
    }

    async fn drain_rates(&mut self, messages: u32) -> Measured<Vec<f64>> {
        let mut rates = Vec::new();
        for _ in 0..DRAINS {
            rates.push(self.drain_rate(messages).await?);
        }
        Ok(rates)
    }
}

/// A service that sends commands, and one that answers them, on one database.
struct World {
    backlog: Backlog,
    bus: Bus,
    prefix: String,
    context: Context,
    sent: u64,
    settled: Arc<AtomicU64>,
    running: Option<(Relay, Tasks)>,
}

impl World {
    async fn open(postgres: &Postgres, broker: Broker<'_>) -> Measured<Self> {
        let (backlog, prefix) = (Backlog::open(postgres, broker).await?, "bloat".to_owned());
        Ok(World {
            bus: bus(broker, &prefix).await?,
            context: jetstream::new(async_nats::connect(broker.nats.urls()).await?),
            backlog,
            prefix,
            sent: 0,
            settled: Arc::default(),
            running: None,
        })
    }

    /// Starts what moves and handles messages.
    async fn start(&mut self) -> Measured<()> {
        let mut tasks = Tasks::new();
        let config = outbox::Config::default();
        let store = &self.backlog.store;
        let consumer =
            |name| Consumer { name, store: store.clone(), config: config.clone(), metrics: outbox::Metrics::default() };
        let commands = self.bus.subscribe(COMMANDS, CONSUMER).await?;
        let inbox = Inbox::new(store.clone(), Answers);
        tasks.spawn("commands", outbox::consume(commands, consumer("commands"), inbox, tasks.drain_request()));
        let replies = self.bus.subscribe(REPLIES, CONSUMER).await?;
        let settles = Settles { store: store.clone(), settled: self.settled.clone() };
        tasks.spawn("replies", outbox::consume(replies, consumer("replies"), settles, tasks.drain_request()));
        let sweep = outbox::sweep(
            store.clone(),
            config.clone(),
            outbox::Answers::default(),
            outbox::Metrics::default(),
            tasks.drain_request(),
        );
        tasks.spawn("sweep", sweep);
        self.running = Some((Relay::start(store, &self.bus, Publisher::Polling), tasks));
        Ok(())
    }

    async fn stop(&mut self) -> Measured<()> {
        if let Some((relay, tasks)) = self.running.take() {
            relay.stop().await?;
            tasks.drain(END_WITHIN).await?;
        }
        Ok(())
    }

    /// Sends commands, and waits until all of them are answered.
    async fn send(&mut self, commands: u64) -> Measured<()> {
        let mut sending = JoinSet::new();
        let upto = self.sent + commands;
        let next = Arc::new(AtomicU64::new(self.sent));
        for _ in 0..SENDERS {
            let (store, next, settled) = (self.backlog.store.clone(), next.clone(), self.settled.clone());
            sending.spawn(async move {
                loop {
                    let first = next.fetch_add(AT_ONCE, Ordering::Relaxed);
                    if first >= upto {
                        return Ok::<(), store::Error>(());
                    }
                    while first.saturating_sub(settled.load(Ordering::Relaxed)) > WAITING_MAX {
                        sleep(LOOK_EVERY).await;
                    }
                    store.commit(commands_from(first..upto.min(first + AT_ONCE))).await?;
                }
            });
        }
        for sent in sending.join_all().await {
            sent?;
        }
        self.sent = upto;
        self.all_are_settled().await
    }

    async fn all_are_settled(&self) -> Measured<()> {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let settled = self.settled.load(Ordering::Relaxed);
            if settled >= self.sent {
                return Ok(());
            }
            if settled != last {
                (last, since) = (settled, Instant::now());
            }
            if since.elapsed() > STUCK_AFTER {
                return Err(format!("{settled} of {} commands are answered, and no more", self.sent).into());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn note_sizes(&self, report: &mut Report, case: &str, rows: u64) -> Measured<()> {
        let outbox = self.backlog.line.bytes(&["outbox_0", "outbox_1", "outbox_2"]).await?;
        report.note(case, OUTBOX, OURS, outbox / 1e6);
        report.note(case, OBLIGATION, OURS, self.backlog.line.bytes(&["obligation"]).await? / 1e6);
        report.note(case, INBOX, OURS, self.backlog.line.bytes(&["inbox"]).await? / rows as f64);
        Ok(())
    }

    /// Lets the broker forget what is handled, or the disk would be full of it.
    async fn forget_published(&self) -> Measured<()> {
        for channel in [COMMANDS, REPLIES] {
            let stream = self.context.get_stream(stream_name(&self.prefix, channel)).await?;
            let handled = stream.consumer_info(CONSUMER).await?.ack_floor.stream_sequence;
            stream.purge().sequence(handled + 1).await?;
        }
        Ok(())
    }
}

fn commands_from(numbers: std::ops::Range<u64>) -> Change {
    let mut change = Change::new();
    for number in numbers {
        let order = key_of(number);
        let effect_id = format!("{order}:Command:1");
        let command = Message::new(COMMANDS, "bench.v1.Command", order, effect_id, vec![0xab; PAYLOAD_BYTES]);
        outbox::oblige(&mut change, &command, &outbox::Config::default());
    }
    change
}

/// As long as the id of an order.
fn key_of(number: u64) -> String {
    format!("01920000-0000-7000-8000-{number:012}")
}

/// Answers every command.
struct Answers;

impl Respond for Answers {
    async fn respond(&self, command: &Message) -> Result<Response, Outcome> {
        let reply =
            Message::new(REPLIES, "bench.v1.Reply", command.key.clone(), String::new(), vec![0xab; PAYLOAD_BYTES]);
        Ok(Response { reply, change: Change::new() })
    }
}

/// Takes replies in.
struct Settles {
    store: Store,
    settled: Arc<AtomicU64>,
}

impl Handle for Settles {
    async fn handle(&self, reply: &Message) -> Outcome {
        let mut change = Change::new();
        outbox::settle(&mut change, &format!("{}:Command:1", reply.key));
        match self.store.commit(change).await {
            Ok(done) => {
                self.settled.fetch_add(done.rows.iter().sum::<usize>() as u64, Ordering::Relaxed);
                Outcome::Done
            }
            Err(error) => Outcome::of_failure(&error),
        }
    }
}
