//! An Order Service with a store, a bus and its callers, in a folder that goes away. The services that it asks are played by the test.

use lifecycle::Tasks;
use messaging::{Bus, Channel, Embedded, Keeps, Message, MessageId, Subscription};
use order::{COMMANDS_CONSUMER, Config, Deps, Metrics, REPLICA_CONSUMER, REPLIES_CONSUMER};
use prometheus_client::registry::Registry;
use prost::Name;
use proto::channel::{
    CONSUMER_COMMANDS, ORDER_ANSWERS, ORDER_COMMANDS, ORDER_EVENTS, ORDER_REPLIES, RESTAURANT_COMMANDS,
    RESTAURANT_EVENTS, decode, kind,
};
use proto::comanda::messages::v1::{
    ConsumerValidated, ConsumerValidationFailed, OrderDetailsValidated, RestaurantRevised, TicketCreated,
};
use proto::comanda::order::v1::order_service_client::OrderServiceClient;
use proto::comanda::order::v1::rejection::Reason;
use proto::comanda::order::v1::{Address, CreateOrderLine, CreateOrderRequest, Order};
use proto::comanda::restaurant::v1::{Menu, MenuItem, Restaurant};
use proto::google::r#type::Money;
use proto::{ConsumerId, RestaurantId, TicketId};
use rpc::{Guarded, Slot, Upstream};
use servers::Postgres;
use std::future::Future;
use std::time::Duration;
use store::{PostgresConfig, Statement, Store};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

/// How long anything may take: hundreds of times what it does take.
const WITHIN: Duration = Duration::from_secs(20);

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

/// As the platform declares them, with somebody outside who listens.
const CHANNELS: &[Channel] = &[
    Channel { name: CONSUMER_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &[] },
    Channel { name: RESTAURANT_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &[] },
    Channel { name: ORDER_REPLIES, keeps: Keeps::UntilAcknowledged, consumers: &[REPLIES_CONSUMER] },
    Channel { name: RESTAURANT_EVENTS, keeps: Keeps::LastOfEachKey, consumers: &[REPLICA_CONSUMER] },
    Channel { name: ORDER_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &[COMMANDS_CONSUMER] },
    Channel { name: ORDER_ANSWERS, keeps: Keeps::ForSubscribers, consumers: &["client"] },
    Channel { name: ORDER_EVENTS, keeps: Keeps::ForSubscribers, consumers: &["follower"] },
];

pub(crate) struct House {
    pub(crate) calls: OrderServiceClient<Upstream>,
    /// The restaurant that the Order Service knows.
    pub(crate) restaurant_id: String,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    answers: Subscription,
    events: Subscription,
    pub(crate) config: Config,
    /// What calls the services that are asked before the answer, if any are, and where these are plugged in.
    consumer: Upstream,
    pub(crate) consumer_slot: Slot,
    restaurant: Upstream,
    pub(crate) restaurant_slot: Slot,
    tasks: Tasks,
    slot: Slot,
    _folder: TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("order.db");
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
        let (upstream, slot) = Upstream::in_process("order");
        let (consumer, consumer_slot) = Upstream::in_process("consumer");
        let (restaurant, restaurant_slot) = Upstream::in_process("restaurant");
        let mut house = House {
            calls: OrderServiceClient::new(upstream),
            restaurant_id: RestaurantId::generate().to_string(),
            store,
            answers: bus.subscribe(ORDER_ANSWERS, "client").await.unwrap(),
            events: bus.subscribe(ORDER_EVENTS, "follower").await.unwrap(),
            bus,
            // A restaurant that is unknown stays so: the test need not wait for it.
            config: Config { replica_wait_ms: 100, ..Config::default() },
            consumer,
            consumer_slot,
            restaurant,
            restaurant_slot,
            tasks: Tasks::new(),
            slot,
            _folder: folder,
        };
        house.start().await;
        house.revise(&house.restaurant_id).await;
        house
    }

    /// Starts the service, on what it left behind.
    pub(crate) async fn start(&mut self) {
        let metrics = Metrics::register(&mut Registry::default());
        let deps = Deps {
            store: self.store.clone(),
            bus: self.bus.clone(),
            metrics,
            outbox_metrics: outbox::Metrics::default(),
            consumer: self.consumer.clone(),
            restaurant: self.restaurant.clone(),
        };
        let started = order::start(deps, self.config.clone(), &mut self.tasks).await.unwrap();
        self.slot.fill(Guarded::new(started.routes, rpc::Config::default()));
    }

    pub(crate) async fn stop(&mut self) {
        self.slot.clear();
        std::mem::take(&mut self.tasks).drain(WITHIN).await.unwrap();
    }

    pub(crate) async fn send(&self, command: &Message) {
        self.send_all(std::slice::from_ref(command)).await;
    }

    pub(crate) async fn send_all(&self, commands: &[Message]) {
        self.bus.publish(commands).await.unwrap();
    }

    /// The next answer to anybody outside, which is of the right kind.
    pub(crate) async fn answer<M: Name + Default>(&mut self) -> (Message, M) {
        let answer = take(&mut self.answers).await;
        assert_eq!((answer.channel.as_str(), answer.kind.as_str()), (ORDER_ANSWERS, kind::<M>().as_str()));
        let payload = decode(&answer.payload).unwrap();
        (answer, payload)
    }

    pub(crate) async fn event(&mut self) -> Message {
        take(&mut self.events).await
    }

    /// Tells the Order Service of a restaurant that has garlic naan.
    pub(crate) async fn revise(&self, restaurant_id: &str) {
        let naan = MenuItem {
            menu_item_id: "naan".to_owned(),
            name: "Garlic naan".to_owned(),
            price: pounds(2),
            ..MenuItem::default()
        };
        let restaurant = Restaurant {
            restaurant_id: restaurant_id.to_owned(),
            currency_code: "GBP".to_owned(),
            menu: Some(Menu { version: 1, items: vec![naan] }),
            ..Restaurant::default()
        };
        let event = RestaurantRevised { version: 1, restaurant: Some(restaurant) };
        self.send(&message(RESTAURANT_EVENTS, restaurant_id, &event)).await;
        let known = "SELECT count(*) FROM restaurant_replica WHERE restaurant_id = ?1";
        let known = Statement::new(known).bind(restaurant_id);
        self.eventually_query(known, 1).await;
    }

    /// An order for two garlic naans.
    pub(crate) fn wish(&self) -> CreateOrderRequest {
        CreateOrderRequest {
            consumer_id: ConsumerId::generate().to_string(),
            restaurant_id: self.restaurant_id.clone(),
            lines: vec![CreateOrderLine { menu_item_id: "naan".to_owned(), quantity: 2 }],
            delivery_address: Some(Address {
                lines: vec!["1 Brick Lane".to_owned()],
                city: "London".to_owned(),
                postal_code: "E1 6QL".to_owned(),
                country_code: "GB".to_owned(),
            }),
            ..CreateOrderRequest::default()
        }
    }

    /// Creates an order over gRPC.
    pub(crate) async fn call(&mut self, wish: CreateOrderRequest) -> Result<Order, Status> {
        self.calls.create_order(wish).await.map(tonic::Response::into_inner)
    }

    /// Replies as the other services do when nothing is wrong.
    pub(crate) async fn approve(&self, order_id: &str) {
        let order = order_id.to_owned();
        let replies = [
            message(ORDER_REPLIES, order_id, &ConsumerValidated { order_id: order.clone() }),
            message(ORDER_REPLIES, order_id, &OrderDetailsValidated { order_id: order.clone(), menu_version: 1 }),
            message(
                ORDER_REPLIES,
                order_id,
                &TicketCreated { order_id: order, ticket_id: TicketId::generate().to_string() },
            ),
        ];
        self.send_all(&replies).await;
    }

    /// Replies as the Consumer Service does when it has something against an order.
    pub(crate) async fn reject(&self, order_id: &str, reasons: Vec<Reason>) {
        let reply = ConsumerValidationFailed { order_id: order_id.to_owned(), reasons };
        self.send(&message(ORDER_REPLIES, order_id, &reply)).await;
    }

    /// A number that the service's own tables tell.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.number_of(Statement::new(sql)).await
    }

    /// Waits until the service's own tables tell a number.
    pub(crate) async fn eventually(&self, sql: &'static str, expected: i64) {
        self.eventually_query(Statement::new(sql), expected).await;
    }

    async fn eventually_query(&self, query: Statement, expected: i64) {
        eventually(|| async {
            let found = self.number_of(query.clone()).await;
            if found == expected { Ok(()) } else { Err(format!("{query:?} is {found} and not {expected}")) }
        })
        .await;
    }

    async fn number_of(&self, query: Statement) -> i64 {
        self.store.query(query).await.unwrap().pop().unwrap().take(0).unwrap()
    }
}

/// A message with an effect of its own.
pub(crate) fn message<M: Name>(channel: &str, key: &str, payload: &M) -> Message {
    let effect_id = MessageId::generate().to_string();
    Message::new(channel, &kind::<M>(), key.to_owned(), effect_id, payload.encode_to_vec())
}

fn pounds(units: i64) -> Option<Money> {
    Some(Money { currency_code: "GBP".to_owned(), units, nanos: 0 })
}

async fn take(subscription: &mut Subscription) -> Message {
    let delivery = timeout(WITHIN, subscription.next()).await.expect("no message").unwrap();
    let message = Message::clone(delivery.message());
    delivery.acknowledge();
    message
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
