//! A service with its store, a bus, and the means to run and to stop what moves messages.

use lifecycle::{Drain, Tasks};
use messaging::{Bus, Channel, Delivery, Embedded, Keeps, Message, MessageId, Subscription};
use outbox::{Answers, Config, Metrics};
use servers::Postgres;
use std::time::{Duration, Instant};
use store::{Change, PostgresConfig, Statement, Store};
use tempfile::TempDir;
use tokio::time::timeout;

pub(crate) const CHANNELS: &[Channel] = &[
    Channel { name: "commands", keeps: Keeps::UntilAcknowledged, consumers: &["service"] },
    Channel { name: "filler", keeps: Keeps::UntilAcknowledged, consumers: &["drain"] },
];

/// Makes one test per store of each of these behaviours.
macro_rules! on_every_store {
    ($($behaviour:ident,)+) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    super::$behaviour(crate::world::World::new().await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    if let Some(world) = crate::world::World::on_postgres().await {
                        super::$behaviour(world).await;
                    }
                }
            )+
        }
    };
}
pub(crate) use on_every_store;

/// Longer than any of these waits on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) bus_store: Store,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    /// Of the PostgreSQL database.
    pub(crate) url: String,
    _directory: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        World::with_bus(&store::Config::default()).await
    }

    pub(crate) async fn with_bus(config: &store::Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&directory.path().join("service.db"), &store::Config::default()).unwrap();
        World::around(store, config, directory).await
    }

    /// On a new database of the shared server; `None` on a machine without PostgreSQL.
    pub(crate) async fn on_postgres() -> Option<Self> {
        if !Postgres::require() {
            return None;
        }
        Some(World::on(Postgres::shared().await).await)
    }

    /// On a new database of a server.
    pub(crate) async fn on(server: &Postgres) -> Self {
        let url = server.database().await;
        World::at(&PostgresConfig { url, ..PostgresConfig::default() }, &store::Config::default()).await
    }

    /// On a database of PostgreSQL, with a bus of which the file is limited.
    pub(crate) async fn at(postgres: &PostgresConfig, bus: &store::Config) -> Self {
        let store = Store::open_postgres(postgres).await.unwrap();
        let mut world = World::around(store, bus, tempfile::tempdir().unwrap()).await;
        world.url.clone_from(&postgres.url);
        world
    }

    async fn around(store: Store, config: &store::Config, directory: TempDir) -> Self {
        outbox::migrate(&store).await.unwrap();
        let bus_store = Store::open_sqlite(&directory.path().join("channels.db"), config).unwrap();
        let bus = Bus::Embedded(Embedded::open(bus_store.clone(), CHANNELS).await.unwrap());
        let config = Config { poll_ms: 50, resend_first_ms: 50, ..Config::default() };
        World { store, bus, bus_store, config, metrics: Metrics::default(), url: String::new(), _directory: directory }
    }

    pub(crate) fn relay(&self) -> Running {
        let (store, bus) = (self.store.clone(), self.bus.clone());
        let (config, metrics) = (self.config.clone(), self.metrics.clone());
        Running::start(|drain| outbox::relay(store, bus, config, metrics, drain))
    }

    /// Fills the bus until it takes nothing more; returns how many messages that takes.
    pub(crate) async fn fill_bus(&self) -> usize {
        let filler = |bytes| Message::new("filler", "T", String::new(), String::new(), vec![7; bytes]);
        let mut fillers = 0;
        // The small ones take the room that is left beside the large ones.
        for bytes in [8 * 1024, 1] {
            while self.bus.publish(&[filler(bytes)]).await.is_ok() {
                fillers += 1;
                assert!(fillers < 1_000);
            }
        }
        fillers
    }

    /// Makes room in the bus again.
    pub(crate) async fn empty_bus(&self, fillers: usize) {
        let mut drain = self.bus.subscribe("filler", "drain").await.unwrap();
        take(&mut drain, fillers).await;
    }

    /// Lets the lease of a relay run out that was cut off and cannot give it back.
    pub(crate) async fn expire_lease(&self) {
        self.run(Statement::new("UPDATE outbox_cursor SET until_us = 0")).await;
    }

    pub(crate) async fn unpublished(&self) -> u64 {
        outbox::audit(&self.store).await.unwrap().unpublished
    }

    pub(crate) async fn all_is_published(&self) {
        eventually(PATIENCE, async || match self.unpublished().await {
            0 => Ok(()),
            left => Err(format!("{left} messages are not published")),
        })
        .await;
    }

    /// Waits until the relay was refused twice.
    pub(crate) async fn bus_refuses_again(&self) {
        eventually(PATIENCE, async || match self.metrics.publish_failures() {
            0..2 => Err("not tried again".to_owned()),
            _ => Ok(()),
        })
        .await;
    }

    pub(crate) fn sweep(&self) -> Running {
        self.sweep_by(Answers::default())
    }

    /// A sweep that knows what was answered.
    pub(crate) fn sweep_by(&self, answers: Answers) -> Running {
        let (store, config, metrics) = (self.store.clone(), self.config.clone(), self.metrics.clone());
        Running::start(|drain| outbox::sweep(store, config, answers, metrics, drain))
    }

    pub(crate) async fn subscribe(&self) -> Subscription {
        self.bus.subscribe("commands", "service").await.unwrap()
    }

    /// Commits one change that appends these messages.
    pub(crate) async fn append(&self, messages: &[Message]) {
        let mut change = Change::new();
        for message in messages {
            outbox::append(&mut change, message);
        }
        self.store.commit(change).await.unwrap();
    }

    pub(crate) async fn run(&self, statement: Statement) {
        let mut change = Change::new();
        change.push(statement);
        self.store.commit(change).await.unwrap();
    }

    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        self.store.query(Statement::new(query)).await.unwrap()[0].take(0).unwrap()
    }

    pub(crate) async fn texts(&self, query: &'static str) -> Vec<String> {
        let rows = self.store.query(Statement::new(query)).await.unwrap();
        rows.into_iter().map(|mut row| row.take(0).unwrap()).collect()
    }

    /// Waits until the query, which asks for one number, gives this one.
    pub(crate) async fn becomes(&self, query: &'static str, expected: i64) {
        eventually(PATIENCE, async || match self.number(query).await {
            found if found == expected => Ok(()),
            found => Err(format!("{query} gives {found}, not {expected}")),
        })
        .await;
    }
}

/// One task; dropped, it is cut off as by a crash.
pub(crate) struct Running(Tasks);

impl Running {
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(task: impl FnOnce(Drain) -> F) -> Self {
        let mut tasks = Tasks::new();
        tasks.spawn("running", task(tasks.drain_request()));
        Running(tasks)
    }

    pub(crate) async fn drain(self) {
        self.0.drain(PATIENCE).await.unwrap();
    }

    pub(crate) fn ask_to_drain(&self) {
        self.0.drain_request().request();
    }
}

pub(crate) fn message(key: &str, effect: &str) -> Message {
    Message::new("commands", "comanda.Test", key.to_owned(), effect.to_owned(), effect.as_bytes().to_vec())
}

/// Messages of one key with the effects `0`, `1` and so on.
pub(crate) fn messages(count: usize) -> Vec<Message> {
    (0..count).map(|number| message("order", &number.to_string())).collect()
}

pub(crate) async fn next(subscription: &mut Subscription) -> Delivery {
    timeout(PATIENCE, subscription.next()).await.expect("a message is there").unwrap()
}

/// Receives and acknowledges this many messages.
pub(crate) async fn take(subscription: &mut Subscription, count: usize) -> Vec<Message> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let delivery = next(subscription).await;
        taken.push((**delivery.message()).clone());
        delivery.acknowledge();
    }
    taken
}

/// Receives and acknowledges until the message with this effect, and returns all, each id once, as a consumer does that knows repeats.
pub(crate) async fn take_until(subscription: &mut Subscription, last: &str) -> Vec<String> {
    let mut taken: Vec<(MessageId, String)> = Vec::new();
    while taken.last().is_none_or(|(_, effect)| effect != last) {
        let Message { id, effect_id, .. } = take(subscription, 1).await.remove(0);
        if taken.iter().all(|(known, _)| *known != id) {
            taken.push((id, effect_id));
        }
    }
    taken.into_iter().map(|(_, effect)| effect).collect()
}

pub(crate) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Polls until `probe` is `Ok`, and fails with its last complaint after `within`.
pub(crate) async fn eventually(within: Duration, mut probe: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = Instant::now() + within;
    while let Err(complaint) = probe().await {
        assert!(Instant::now() < deadline, "not within {within:?}: {complaint}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
