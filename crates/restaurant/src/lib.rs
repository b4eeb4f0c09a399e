//! The Restaurant Service: owns restaurants, their menus, and the tickets of their kitchens.
//!
//! It answers gRPC calls about restaurants and tickets, judges orders (`ValidateOrderDetails`), keeps the kitchen's tickets
//! (`CreateTicket`, `CancelTicket`), and tells everybody when a restaurant or its menu has changed (`RestaurantRevised`).

mod app;
mod audit;
mod config;
mod domain;
mod error;
mod grpc;
mod messages;
mod store;
mod wire;

pub use audit::{Audit, AuditedTicket, Duplicate, audit};
pub use config::Config;
pub use error::Error;

use ::store::Store;
use app::Republisher;
use lifecycle::{Drain, Tasks};
use messages::Kitchen;
use messaging::{Bus, Subscription};
use outbox::{Consumer, Inbox, Metrics};
use proto::channel::{RESTAURANT_COMMANDS, RESTAURANT_EVENTS};
use proto::comanda::restaurant::v1::restaurant_service_server::RestaurantServiceServer;
use proto::comanda::validation::v1::order_details_validation_service_server::OrderDetailsValidationServiceServer;
use tonic::service::Routes;

/// The name under which commands are consumed and poison is parked.
const CONSUMER_NAME: &str = "restaurant";

/// What the service stands on.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Its database, which nobody else writes.
    pub store: Store,
    /// Where its commands come from and its replies go.
    pub bus: Bus,
    /// Where its outbox and inbox count.
    pub outbox_metrics: Metrics,
}

/// Brings the database up to date, for those who do so before they start the service.
///
/// # Errors
/// When the database refuses a step.
pub async fn migrate(store: &Store) -> Result<(), ::store::Error> {
    self::store::migrate(store).await
}

/// Brings the database up to date, starts the tasks of the service, and returns its gRPC routes.
///
/// # Errors
/// When the database cannot be migrated, or the bus has no channel for the commands.
pub async fn start(deps: Deps, config: Config, tasks: &mut Tasks) -> Result<Routes, Error> {
    migrate(&deps.store).await.map_err(Error::Migrate)?;
    let commands = deps.bus.subscribe(RESTAURANT_COMMANDS, CONSUMER_NAME).await.map_err(Error::Subscribe)?;
    spawn(&deps, &config, commands, tasks);
    let validation = OrderDetailsValidationServiceServer::new(grpc::Validation::new(deps.store.clone()));
    Ok(Routes::new(RestaurantServiceServer::new(grpc::Service::new(deps.store))).add_service(validation))
}

/// Publishes the current state of every restaurant again, some 200 per second, and returns how many those were. Ends early when a drain is
/// requested. The service does so by itself when the bus has lost the restaurants' events.
///
/// # Errors
/// When the database cannot be read or written, or the drain was requested first.
pub async fn republish(store: &Store, drain: &Drain) -> Result<u64, Error> {
    app::republish(store, drain).await
}

fn spawn(deps: &Deps, config: &Config, commands: Subscription, tasks: &mut Tasks) {
    let Deps { store, bus, outbox_metrics: metrics } = deps.clone();
    let (config, drain) = (config.outbox.clone(), tasks.drain_request());
    let on_loss = Republisher { store: store.clone(), drain: drain.clone() };
    let watch = outbox::watch(store.clone(), bus.clone(), &[RESTAURANT_EVENTS], on_loss, drain.clone());
    tasks.spawn("restaurant-watch", watch);
    let inbox = Inbox::new(store.clone(), Kitchen::new(store.clone()));
    let consumer =
        Consumer { name: CONSUMER_NAME, store: store.clone(), config: config.clone(), metrics: metrics.clone() };
    tasks.spawn("restaurant-commands", outbox::consume(commands, consumer, inbox, drain.clone()));
    tasks.spawn("restaurant-relay", outbox::relay(store.clone(), bus, config.clone(), metrics.clone(), drain.clone()));
    tasks.spawn("restaurant-inbox", outbox::keep_inbox_small(store.clone(), config, drain.clone()));
    tasks.spawn("restaurant-observe", outbox::observe(store, metrics, drain));
}
