//! The Consumer Service: knows who may order, and for how much.
//!
//! It answers gRPC calls about consumers, and the command `ValidateConsumerInfo` with a verdict. The verdict is a
//! pure function in `domain`; the rows, the wire and the bus stand around it.

mod app;
mod config;
mod domain;
mod error;
mod grpc;
mod messages;
mod store;
mod wire;

pub use config::Config;
pub use error::Error;

use ::store::Store;
use lifecycle::Tasks;
use messages::Validator;
use messaging::{Bus, Subscription};
use outbox::{Consumer, Inbox, Metrics};
use proto::channel::CONSUMER_COMMANDS;
use proto::comanda::consumer::v1::consumer_service_server::ConsumerServiceServer;
use proto::comanda::validation::v1::consumer_validation_service_server::ConsumerValidationServiceServer;
use tonic::service::Routes;

/// The name under which commands are consumed and poison is parked.
const CONSUMER_NAME: &str = "consumer";

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
    let commands = deps.bus.subscribe(CONSUMER_COMMANDS, CONSUMER_NAME).await.map_err(Error::Subscribe)?;
    spawn(&deps, &config, commands, tasks);
    let validation = ConsumerValidationServiceServer::new(grpc::Validation::new(deps.store.clone()));
    Ok(Routes::new(ConsumerServiceServer::new(grpc::Service::new(deps.store))).add_service(validation))
}

fn spawn(deps: &Deps, config: &Config, commands: Subscription, tasks: &mut Tasks) {
    let Deps { store, bus, outbox_metrics: metrics } = deps.clone();
    let (config, drain) = (config.outbox.clone(), tasks.drain_request());
    let inbox = Inbox::new(store.clone(), Validator::new(store.clone()));
    let consumer =
        Consumer { name: CONSUMER_NAME, store: store.clone(), config: config.clone(), metrics: metrics.clone() };
    tasks.spawn("consumer-commands", outbox::consume(commands, consumer, inbox, drain.clone()));
    tasks.spawn("consumer-relay", outbox::relay(store.clone(), bus, config.clone(), metrics.clone(), drain.clone()));
    tasks.spawn("consumer-inbox", outbox::keep_inbox_small(store.clone(), config, drain.clone()));
    tasks.spawn("consumer-observe", outbox::observe(store, metrics, drain));
}
