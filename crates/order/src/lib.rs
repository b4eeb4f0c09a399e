//! The Order Service: takes orders, and follows each of them until it is decided.
//!
//! It answers from its own database alone. What other services have to say comes in as replies, in any order, twice or late; one pure
//! function, `decide`, says what comes of it.

mod app;
mod audit;
mod config;
mod domain;
mod error;
mod grpc;
mod messages;
mod metrics;
mod recent;
mod replica;
mod store;
mod watches;

pub use audit::{AuditedOrder, audit};
pub use config::{Config, Validation};
pub use error::Error;
pub use metrics::Metrics;

use ::store::Store;
use app::{Clients, Orders, Replies, Validators};
use lifecycle::Tasks;
use messaging::Bus;
use outbox::{Answers, Consumer, Reviving};
use proto::channel;
use proto::comanda::order::v1::order_service_server::OrderServiceServer;
use recent::Recent;
use replica::Replica;
use rpc::Upstream;
use tonic::service::Routes;
use watches::Watches;

/// The name under which replies are consumed.
pub const REPLIES_CONSUMER: &str = "order";
/// The name under which commands of clients outside are consumed.
pub const COMMANDS_CONSUMER: &str = "order-commands";
/// The name under which the restaurants' events are consumed.
pub const REPLICA_CONSUMER: &str = "order-replica";

/// The channels through which a command and its reply go: what they lose is sent again.
const WATCHED: [&str; 3] = [channel::CONSUMER_COMMANDS, channel::RESTAURANT_COMMANDS, channel::ORDER_REPLIES];

/// What the service needs from outside.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Its own database.
    pub store: Store,
    /// Where its messages go.
    pub bus: Bus,
    /// What it counts.
    pub metrics: Metrics,
    /// What its outbox counts.
    pub outbox_metrics: outbox::Metrics,
    /// What calls the Consumer Service; it is called if orders are validated synchronously, and never otherwise.
    pub consumer: Upstream,
    /// What calls the Restaurant Service, in the same case.
    pub restaurant: Upstream,
}

/// Brings the database up to date, for those who do so before they start the service.
///
/// # Errors
/// When the database refuses a step.
pub async fn migrate(store: &Store) -> Result<(), ::store::Error> {
    self::store::migrate(store).await
}

/// What runs.
#[derive(Debug)]
pub struct Started {
    /// Its RPCs.
    pub routes: Routes,
    /// Whether orders can be priced.
    pub pricing: Pricing,
}

/// Tells whether orders can be priced: as soon as restaurants are known, from an earlier run or from their events.
#[derive(Debug, Clone)]
pub struct Pricing(Replica);

impl Pricing {
    /// Whether they can now.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.0.is_built() || self.0.size() > 0
    }
}

/// Has every restaurant's current state told to the replica again, whether or not the service runs. Meanwhile it goes on with what it has.
///
/// # Errors
/// When the bus cannot be asked now.
pub async fn rebuild_replica(bus: &Bus) -> Result<(), messaging::Error> {
    bus.rewind(channel::RESTAURANT_EVENTS, REPLICA_CONSUMER).await
}

/// Starts the service: its tasks run in `tasks`, its RPCs are served by what is returned.
///
/// # Errors
/// When the database cannot be brought up to date, or a channel is missing or taken.
pub async fn start(deps: Deps, config: Config, tasks: &mut Tasks) -> Result<Started, Error> {
    let Deps { store, bus, metrics, outbox_metrics, consumer, restaurant } = deps;
    self::store::migrate(&store).await.map_err(Error::store("migrate"))?;
    let events = bus.subscribe(channel::RESTAURANT_EVENTS, REPLICA_CONSUMER).await.map_err(Error::Subscribe)?;
    let replies = bus.subscribe(channel::ORDER_REPLIES, REPLIES_CONSUMER).await.map_err(Error::Subscribe)?;
    let commands = bus.subscribe(channel::ORDER_COMMANDS, COMMANDS_CONSUMER).await.map_err(Error::Subscribe)?;
    let replica = Replica::load(store.clone(), events.caught_up(), metrics.clone()).await?;
    let watches = Watches::new(config.watches_max);
    let orders = Orders {
        store: store.clone(),
        replica: replica.clone(),
        recent: Recent::default(),
        validators: Validators::new(config.validation, consumer, restaurant),
        watches,
        metrics,
        config: config.clone(),
    };
    let (drain, pricing) = (tasks.drain_request(), Pricing(replica.clone()));

    let consumer =
        |name| Consumer { name, store: store.clone(), config: config.outbox.clone(), metrics: outbox_metrics.clone() };
    let work = outbox::consume(events, consumer(REPLICA_CONSUMER), replica, drain.clone());
    tasks.spawn("order-replica", work);
    let answers = Answers::default();
    let handler = Reviving::new(store.clone(), answers.clone(), Replies(orders.clone()));
    let work = outbox::consume(replies, consumer(REPLIES_CONSUMER), handler, drain.clone());
    tasks.spawn("order-replies", work);
    let work = outbox::consume(commands, consumer(COMMANDS_CONSUMER), Clients(orders.clone()), drain.clone());
    tasks.spawn("order-commands", work);
    tasks.spawn("order-inbox", outbox::keep_inbox_small(store.clone(), config.outbox.clone(), drain.clone()));
    tasks.spawn("order-channels", app::keep_channels_open(bus.clone(), drain.clone()));
    tasks.spawn("order-watch", outbox::watch(store.clone(), bus.clone(), &WATCHED, (), drain.clone()));
    let relay = outbox::relay(store.clone(), bus, config.outbox.clone(), outbox_metrics.clone(), drain.clone());
    tasks.spawn("order-relay", relay);
    let sweep = outbox::sweep(store.clone(), config.outbox, answers, outbox_metrics.clone(), drain.clone());
    tasks.spawn("order-sweep", sweep);
    tasks.spawn("order-outbox-observe", outbox::observe(store, outbox_metrics, drain.clone()));
    tasks.spawn("order-expiry", app::expire_orders(orders.clone(), drain.clone()));
    tasks.spawn("order-keys", app::forget_keys(orders.clone(), drain.clone()));
    tasks.spawn("order-observe", app::observe(orders.clone(), drain));
    Ok(Started { routes: Routes::new(OrderServiceServer::new(grpc::Service(orders))), pricing })
}
