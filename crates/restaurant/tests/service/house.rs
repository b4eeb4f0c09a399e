//! A Restaurant Service with a store, a bus and a client, in a folder that goes away.

use lifecycle::Tasks;
use messaging::{Bus, Channel, Embedded, Keeps, Message, MessageId, Subscription};
use prost::Name;
use proto::channel::{CONSUMER_COMMANDS, ORDER_REPLIES, RESTAURANT_COMMANDS, RESTAURANT_EVENTS, decode, kind};
use proto::comanda::restaurant::v1::restaurant_service_client::RestaurantServiceClient;
use restaurant::{Config, Deps};
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
    pub(crate) client: RestaurantServiceClient<Upstream>,
    pub(crate) store: Store,
    bus: Bus,
    replies: Subscription,
    events: Subscription,
    tasks: Tasks,
    slot: Slot,
    _folder: TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("restaurant.db");
        House::around(Store::open_sqlite(&path, &store::Config::default()).unwrap(), folder).await
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
        let (upstream, slot) = Upstream::in_process("restaurant");
        let mut house = House {
            client: RestaurantServiceClient::new(upstream),
            store,
            replies: bus.subscribe(ORDER_REPLIES, "order").await.unwrap(),
            events: bus.subscribe(RESTAURANT_EVENTS, "order-replica").await.unwrap(),
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
        let routes = restaurant::start(deps, Config::default(), &mut self.tasks).await.unwrap();
        self.slot.fill(Guarded::new(routes, rpc::Config::default()));
    }

    pub(crate) async fn stop(&mut self) {
        self.slot.clear();
        std::mem::take(&mut self.tasks).drain(WITHIN).await.unwrap();
    }

    pub(crate) async fn send(&self, command: &Message) {
        self.bus.publish(std::slice::from_ref(command)).await.unwrap();
    }

    /// Sends a command and returns the reply, which is of the right kind and answers it.
    pub(crate) async fn ask<M: Name + Default>(&mut self, command: &Message) -> M {
        self.send(command).await;
        self.reply(command).await
    }

    /// The next reply, which is of the right kind and answers `command`.
    pub(crate) async fn reply<M: Name + Default>(&mut self, command: &Message) -> M {
        let reply = take(&mut self.replies).await;
        assert_eq!(reply.kind, kind::<M>());
        assert_eq!((reply.channel.as_str(), reply.key.as_str()), (ORDER_REPLIES, command.key.as_str()));
        assert_eq!(reply.effect_id, format!("{}:reply", command.effect_id));
        assert_eq!(reply.causation_id, Some(command.id));
        decode(&reply.payload).unwrap()
    }

    /// The next event, as the Order Service hears it.
    pub(crate) async fn event(&mut self) -> Message {
        take(&mut self.events).await
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

async fn take(subscription: &mut Subscription) -> Message {
    let delivery = timeout(WITHIN, subscription.next()).await.expect("no message").unwrap();
    let message = Message::clone(delivery.message());
    delivery.acknowledge();
    message
}

/// A command about an order.
pub(crate) fn command<M: Name>(order_id: &str, command: &M) -> Message {
    let effect_id = format!("{order_id}:{}:1", M::NAME);
    Message::new(RESTAURANT_COMMANDS, &kind::<M>(), order_id.to_owned(), effect_id, command.encode_to_vec())
}

/// The same command, sent another time.
pub(crate) fn again(command: &Message) -> Message {
    Message { id: MessageId::generate(), ..command.clone() }
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
