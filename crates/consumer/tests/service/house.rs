//! A Consumer Service with a store, a bus and a client, in a folder that goes away.

use consumer::{Config, Deps};
use lifecycle::Tasks;
use messaging::{Bus, Channel, Embedded, Keeps, Message, Subscription};
use proto::channel::{CONSUMER_COMMANDS, ORDER_REPLIES, RESTAURANT_COMMANDS, RESTAURANT_EVENTS};
use proto::comanda::consumer::v1::consumer_service_client::ConsumerServiceClient;
use rpc::{Guarded, Slot, Upstream};
use servers::Postgres;
use std::future::Future;
use std::time::Duration;
use store::{PostgresConfig, Statement, Store};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take: hundreds of times what it does take.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// Makes one test per store of each of these stories.
macro_rules! on_every_store {
    ($($story:ident,)+) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story(crate::house::House::open().await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $story() {
                    if let Some(house) = crate::house::House::on_postgres().await {
                        super::$story(house).await;
                    }
                }
            )+
        }
    };
}
pub(crate) use on_every_store;

const CHANNELS: &[Channel] = &[
    Channel { name: CONSUMER_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &["consumer"] },
    Channel { name: RESTAURANT_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &["restaurant"] },
    Channel { name: ORDER_REPLIES, keeps: Keeps::UntilAcknowledged, consumers: &["order"] },
    Channel { name: RESTAURANT_EVENTS, keeps: Keeps::LastOfEachKey, consumers: &["order-replica"] },
];

pub(crate) struct House {
    pub(crate) client: ConsumerServiceClient<Upstream>,
    pub(crate) store: Store,
    bus: Bus,
    replies: Subscription,
    tasks: Tasks,
    slot: Slot,
    _folder: TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        House::on(store::Config::default()).await
    }

    /// A service whose own store is configured like this.
    pub(crate) async fn on(config: store::Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("consumer.db"), &config).unwrap();
        House::around(store, folder).await
    }

    /// On a new database of the shared server; `None` on a machine without PostgreSQL.
    pub(crate) async fn on_postgres() -> Option<Self> {
        if !Postgres::require() {
            return None;
        }
        let url = Postgres::shared().await.database().await;
        let store = Store::open_postgres(&PostgresConfig { url, ..PostgresConfig::default() }).await.unwrap();
        Some(House::around(store, tempfile::tempdir().unwrap()).await)
    }

    async fn around(store: Store, folder: TempDir) -> Self {
        let channels = Store::open_sqlite(&folder.path().join("channels.db"), &store::Config::default()).unwrap();
        let bus = Bus::Embedded(Embedded::open(channels, CHANNELS).await.unwrap());
        let (upstream, slot) = Upstream::in_process("consumer");
        let mut house = House {
            client: ConsumerServiceClient::new(upstream),
            store,
            replies: bus.subscribe(ORDER_REPLIES, "order").await.unwrap(),
            bus,
            tasks: Tasks::new(),
            slot,
            _folder: folder,
        };
        house.start().await;
        house
    }

    /// Starts the service, on what it left behind.
    pub(crate) async fn start(&mut self) {
        let metrics = outbox::Metrics::default();
        let deps = Deps { store: self.store.clone(), bus: self.bus.clone(), outbox_metrics: metrics };
        let routes = consumer::start(deps, Config::default(), &mut self.tasks).await.unwrap();
        self.slot.fill(Guarded::new(routes, rpc::Config::default()));
    }

    pub(crate) async fn stop(&mut self) {
        self.slot.clear();
        std::mem::take(&mut self.tasks).drain(WITHIN).await.unwrap();
    }

    pub(crate) async fn send(&self, command: &Message) {
        self.bus.publish(std::slice::from_ref(command)).await.unwrap();
    }

    /// The next message to the Order Service.
    pub(crate) async fn reply(&mut self) -> Message {
        let delivery = timeout(WITHIN, self.replies.next()).await.expect("no reply").unwrap();
        let reply = Message::clone(delivery.message());
        delivery.acknowledge();
        reply
    }

    /// A number that the service's own tables tell.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.store.query(Statement::new(sql)).await.unwrap().pop().unwrap().take(0).unwrap()
    }

    /// Waits until the service's own tables tell a number.
    pub(crate) async fn eventually(&self, sql: &'static str, expected: i64) {
        eventually(|| async {
            let found = self.number(sql).await;
            if found == expected { Ok(()) } else { Err(format!("{sql} is {found} and not {expected}")) }
        })
        .await;
    }
}

async fn eventually<F, Fut>(mut probe: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let deadline = Instant::now() + WITHIN;
    while let Err(complaint) = probe().await {
        assert!(Instant::now() < deadline, "not within {WITHIN:?}: {complaint}");
        sleep(Duration::from_millis(20)).await;
    }
}
