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
use lifecycle::{Drain, Tasks};
use messages::Kitchen;
use messaging::{Bus, Subscription};
use outbox::{Consumer, Inbox, Metrics};
use proto::channel::RESTAURANT_COMMANDS;
use proto::comanda::restaurant::v1::restaurant_service_server::RestaurantServiceServer;
use std::time::Duration;
use tokio::time::sleep;
use tonic::service::Routes;
use tracing::warn;

/// The name under which commands are consumed and poison is parked.
const CONSUMER_NAME: &str = "restaurant";
/// The pause after commands could not be consumed: a role that is restarted is back within a second.
const CONSUME_AGAIN_AFTER: Duration = Duration::from_secs(1);

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

/// Brings the database up to date, starts the tasks of the service, and returns its gRPC routes.
///
/// # Errors
/// When the database cannot be migrated, or the bus has no channel for the commands.
pub async fn start(deps: Deps, config: Config, tasks: &mut Tasks) -> Result<Routes, Error> {
    outbox::migrate(&deps.store).await.map_err(Error::Migrate)?;
    store::migrate(&deps.store).await.map_err(Error::Migrate)?;
    let commands = deps.bus.subscribe(RESTAURANT_COMMANDS, CONSUMER_NAME).await.map_err(Error::Subscribe)?;
    spawn(&deps, &config, commands, tasks);
    Ok(Routes::new(RestaurantServiceServer::new(grpc::Service::new(deps.store))))
}

fn spawn(deps: &Deps, config: &Config, commands: Subscription, tasks: &mut Tasks) {
    let Deps { store, bus, outbox_metrics: metrics } = deps.clone();
    let (outbox, drain) = (config.outbox.clone(), tasks.drain_request());
    tasks.spawn("restaurant-commands", consume(deps.clone(), outbox.clone(), commands, drain.clone()));
    tasks.spawn("restaurant-relay", outbox::relay(store.clone(), bus, outbox.clone(), metrics.clone(), drain.clone()));
    tasks.spawn("restaurant-inbox", outbox::keep_inbox_small(store.clone(), outbox, drain.clone()));
    tasks.spawn("restaurant-observe", outbox::observe(store, metrics, drain));
}

/// Consumes commands until it is asked to drain. A fault is logged and tried again.
async fn consume(deps: Deps, config: outbox::Config, commands: Subscription, drain: Drain) {
    let mut commands = Ok(commands);
    loop {
        let ended = match commands {
            Ok(commands) => consume_once(&deps, &config, commands, drain.clone()).await,
            Err(error) => Err(Error::Subscribe(error)),
        };
        let Err(error) = ended else { return };
        warn!(error = &error as &dyn std::error::Error, "commands could not be consumed");
        tokio::select! {
            () = sleep(CONSUME_AGAIN_AFTER) => {}
            () = drain.requested() => return,
        }
        commands = deps.bus.subscribe(RESTAURANT_COMMANDS, CONSUMER_NAME).await;
    }
}

async fn consume_once(deps: &Deps, config: &outbox::Config, commands: Subscription, drain: Drain) -> Result<(), Error> {
    let Deps { store, outbox_metrics, .. } = deps.clone();
    let inbox = Inbox::new(store.clone(), Kitchen::new(store.clone()));
    let consumer = Consumer { name: CONSUMER_NAME, store, config: config.clone(), metrics: outbox_metrics };
    outbox::consume(commands, consumer, inbox, drain).await.map_err(Error::Consume)
}
