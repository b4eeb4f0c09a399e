//! An Order Service with a restaurant to order from, and its clients.

use crate::Measured;
use lifecycle::Tasks;
use messaging::{Bus, Channel, Embedded, Keeps, Message};
use order::{Config, Deps};
use outbox::Publisher;
use prometheus_client::registry::Registry;
use prost::Message as _;
use proto::channel::{self, RESTAURANT_EVENTS, kind};
use proto::comanda::messages::v1::RestaurantRevised;
use proto::comanda::order::v1::order_service_client::OrderServiceClient;
use proto::comanda::order::v1::{Address, CreateOrderLine, CreateOrderRequest};
use proto::comanda::restaurant::v1::{Menu, MenuItem, Restaurant};
use proto::google::r#type::Money;
use proto::{ConsumerId, OrderId, RestaurantId};
use rpc::{Guarded, Slot, Upstream};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the service subscribes to and waits for; what it sends is published by nobody.
const CHANNELS: &[Channel] = &[
    Channel { name: channel::ORDER_REPLIES, keeps: Keeps::UntilAcknowledged, consumers: &[order::REPLIES_CONSUMER] },
    Channel { name: RESTAURANT_EVENTS, keeps: Keeps::LastOfEachKey, consumers: &[order::REPLICA_CONSUMER] },
    Channel { name: channel::ORDER_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &[order::COMMANDS_CONSUMER] },
    Channel { name: channel::ORDER_ANSWERS, keeps: Keeps::ForSubscribers, consumers: &[] },
    Channel { name: channel::ORDER_EVENTS, keeps: Keeps::ForSubscribers, consumers: &[] },
];

/// What is ordered: five lines, as many as the real orders of a London restaurant have on average.
const ITEMS: [(&str, &str, i32); 5] = [
    ("plain-papadum", "Plain Papadum", 2),
    ("onion-bhaji", "Onion Bhaji", 1),
    ("chicken-tikka-masala", "Chicken Tikka Masala", 1),
    ("pilau-rice", "Pilau Rice", 1),
    ("garlic-naan", "Garlic Naan", 1),
];
/// Who orders, in turn.
const CONSUMERS: u32 = 1_000;
/// How long tasks may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);

/// The service, on its own. Its outbox is published by nobody, as in a process beside which a relay runs.
pub(super) struct House {
    client: OrderServiceClient<Upstream>,
    orders: Arc<Orders>,
    store: Store,
    tasks: Tasks,
    slot: Slot,
    _folder: TempDir,
}

impl House {
    pub(super) async fn open(store: Store) -> Measured<Self> {
        let folder = tempfile::tempdir()?;
        let channels = Store::open_sqlite(&folder.path().join("channels.db"), &store::Config::default())?;
        let bus = Bus::Embedded(Embedded::open(channels, CHANNELS).await?);
        let orders = Orders::new();
        bus.publish(&[orders.restaurant()]).await?;
        let mut config = Config::default();
        config.outbox.publisher = Publisher::None;
        let (metrics, outbox_metrics) =
            (order::Metrics::register(&mut Registry::default()), outbox::Metrics::default());
        let (consumer, restaurant) = (Upstream::in_process("consumer").0, Upstream::in_process("restaurant").0);
        let deps = Deps { store: store.clone(), bus, metrics, outbox_metrics, consumer, restaurant };
        let mut tasks = Tasks::new();
        let started = order::start(deps, config, &mut tasks).await?;
        let (upstream, slot) = Upstream::in_process("order");
        slot.fill(Guarded::new(started.routes, rpc::Config::default()));
        let client = OrderServiceClient::new(upstream);
        let house = House { client, orders: Arc::new(orders), store, tasks, slot, _folder: folder };
        // Waits until the restaurant is known.
        house.take_one().await?;
        Ok(house)
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) async fn take_one(&self) -> Measured<()> {
        self.client.clone().create_order(self.orders.request(0)).await?;
        Ok(())
    }

    /// Lets clients order, each one after the other, for a while. Returns orders per second in that time, and how many there were in all.
    pub(super) async fn take_orders(&self, clients: u32, within: Duration) -> Measured<(f64, u64)> {
        let deadline = Instant::now() + within;
        let mut ordering = JoinSet::new();
        for number in 0..clients {
            let (mut client, orders) = (self.client.clone(), self.orders.clone());
            ordering.spawn(async move {
                let (mut in_time, mut consumer) = (0_u32, number);
                while Instant::now() < deadline {
                    client.create_order(orders.request(consumer)).await?;
                    in_time += u32::from(Instant::now() < deadline);
                    consumer += clients;
                }
                Ok::<u32, tonic::Status>(in_time)
            });
        }
        let mut in_time = 0;
        while let Some(ordered) = ordering.join_next().await {
            in_time += u64::from(ordered??);
        }
        Ok((in_time as f64 / within.as_secs_f64(), in_time + u64::from(clients)))
    }

    pub(super) async fn close(self) -> Measured<()> {
        self.slot.clear();
        Ok(self.tasks.drain(END_WITHIN).await?)
    }
}

/// Makes requests.
struct Orders {
    restaurant_id: String,
    consumers: Vec<String>,
}

impl Orders {
    fn new() -> Self {
        let consumers = (0..CONSUMERS).map(|_| ConsumerId::generate().to_string()).collect();
        Orders { restaurant_id: RestaurantId::generate().to_string(), consumers }
    }

    /// The event by which the service learns of the restaurant.
    fn restaurant(&self) -> Message {
        let item = |(id, name, _): (&str, &str, i32)| MenuItem {
            menu_item_id: id.to_owned(),
            name: name.to_owned(),
            price: Some(Money { currency_code: "GBP".to_owned(), units: 2, nanos: 950_000_000 }),
            ..MenuItem::default()
        };
        let restaurant = Restaurant {
            restaurant_id: self.restaurant_id.clone(),
            name: "Comanda Kitchen".to_owned(),
            currency_code: "GBP".to_owned(),
            menu: Some(Menu { version: 1, items: ITEMS.into_iter().map(item).collect() }),
            ..Restaurant::default()
        };
        let event = RestaurantRevised { version: 1, restaurant: Some(restaurant) };
        let key = self.restaurant_id.clone();
        Message::new(RESTAURANT_EVENTS, &kind::<RestaurantRevised>(), key.clone(), key, event.encode_to_vec())
    }

    fn request(&self, consumer: u32) -> CreateOrderRequest {
        let line = |(id, _, quantity): (&str, &str, i32)| CreateOrderLine { menu_item_id: id.to_owned(), quantity };
        CreateOrderRequest {
            consumer_id: self.consumers[(consumer % CONSUMERS) as usize].clone(),
            restaurant_id: self.restaurant_id.clone(),
            lines: ITEMS.into_iter().map(line).collect(),
            delivery_address: Some(Address {
                lines: vec!["1 Brick Lane".to_owned()],
                city: "London".to_owned(),
                postal_code: "E1 6QL".to_owned(),
                country_code: "GB".to_owned(),
            }),
            request_id: OrderId::generate().to_string(),
            validate_by: None,
        }
    }
}
