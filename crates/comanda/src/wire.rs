//! How the roles hang together: which store, which channels, which upstreams.

use crate::config::{BusKind, StoreKind};
use crate::databases::Databases;
use crate::{Config, Error, Role};
use lifecycle::Tasks;
use messaging::{Bus, Channel, Embedded, JetStream, Keeps};
use prometheus_client::registry::Registry;
use proto::channel;
use rpc::{Guarded, Slot, Upstream};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::transport::Uri;
use tracing::warn;

/// The channels of the platform. A channel keeps what a consumer has not seen, whether or not its role runs.
pub(crate) const CHANNELS: &[Channel] = &[
    Channel { name: channel::CONSUMER_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &["consumer"] },
    Channel { name: channel::RESTAURANT_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &["restaurant"] },
    Channel { name: channel::ORDER_REPLIES, keeps: Keeps::UntilAcknowledged, consumers: &[order::REPLIES_CONSUMER] },
    Channel { name: channel::RESTAURANT_EVENTS, keeps: Keeps::LastOfEachKey, consumers: &[order::REPLICA_CONSUMER] },
    Channel { name: channel::ORDER_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &[order::COMMANDS_CONSUMER] },
    Channel { name: channel::ORDER_ANSWERS, keeps: Keeps::ForSubscribers, consumers: &[] },
    Channel { name: channel::ORDER_EVENTS, keeps: Keeps::ForSubscribers, consumers: &[] },
];

/// The services that the gateway calls, by the role that serves them.
pub(crate) const SERVED: [(Role, &str); 3] = [
    (Role::Order, "comanda.order.v1.OrderService"),
    (Role::Consumer, "comanda.consumer.v1.ConsumerService"),
    (Role::Restaurant, "comanda.restaurant.v1.RestaurantService"),
];

/// The services that other roles call and the gateway does not, by the role that serves them.
pub(crate) const INTERNAL: [(Role, &str); 2] = [
    (Role::Consumer, "comanda.validation.v1.ConsumerValidationService"),
    (Role::Restaurant, "comanda.validation.v1.OrderDetailsValidationService"),
];

/// The pause before a database that is away is looked for again.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What all roles of a process share.
pub(crate) struct Wiring {
    config: Config,
    pub(crate) bus: Bus,
    upstreams: BTreeMap<Role, Upstream>,
    slots: BTreeMap<Role, Slot>,
    order_metrics: order::Metrics,
    outbox_metrics: BTreeMap<Role, outbox::Metrics>,
    orders: watch::Sender<Option<Orders>>,
    databases: Databases,
}

/// What readiness asks of the Order Service in this process.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) store: Store,
    pub(crate) pricing: order::Pricing,
}

/// A role that runs.
pub(crate) struct Running {
    pub(crate) tasks: Tasks,
}

impl Wiring {
    /// Opens the channels and registers what is counted.
    pub(crate) async fn new(config: Config, registry: &mut Registry) -> Result<Self, Error> {
        let bus = open_bus(&config).await?;
        let (mut upstreams, mut slots) = (BTreeMap::new(), BTreeMap::new());
        let mut outbox_metrics = BTreeMap::new();
        for (role, _) in SERVED {
            let upstream = match config.upstreams.get(role) {
                Some(address) if !config.roles.contains(&role) => Upstream::remote(role.name(), uri(role, address)?),
                Some(_) | None => {
                    let (upstream, slot) = Upstream::in_process(role.name());
                    slots.insert(role, slot);
                    upstream
                }
            };
            upstreams.insert(role, upstream);
            let label = (Cow::Borrowed("service"), Cow::Borrowed(role.name()));
            outbox_metrics.insert(role, outbox::Metrics::register(registry.sub_registry_with_label(label)));
        }
        let order_metrics = order::Metrics::register(registry);
        let (orders, databases) = (watch::Sender::new(None), Databases::default());
        Ok(Wiring { config, bus, upstreams, slots, order_metrics, outbox_metrics, orders, databases })
    }

    /// What calls a role.
    pub(crate) fn upstream(&self, role: Role) -> Option<&Upstream> {
        self.upstreams.get(&role)
    }

    /// The upstream of each gRPC service.
    pub(crate) fn services(&self) -> BTreeMap<&'static str, Upstream> {
        let served = SERVED.into_iter();
        served.filter_map(|(role, service)| Some((service, self.upstream(role)?.clone()))).collect()
    }

    /// Whether this process was started with a role.
    pub(crate) fn runs(&self, role: Role) -> bool {
        self.config.roles.contains(&role)
    }

    /// Whether this process has to do with a role: it runs it, or is told where it is, or speaks to clients for it.
    pub(crate) fn knows(&self, role: Role) -> bool {
        self.runs(role) || self.config.upstreams.get(role).is_some() || self.runs(Role::Gateway)
    }

    /// What orders depend on, while the Order Service runs here.
    pub(crate) fn orders(&self) -> Option<Orders> {
        self.orders.borrow().clone()
    }

    /// The database of a service, or why it cannot be opened.
    pub(crate) async fn database(&self, service: Role) -> Result<Store, String> {
        self.databases.get(&self.config, service).await
    }

    /// What the outbox of a service counts in this process.
    pub(crate) fn outbox_metrics(&self, service: Role) -> outbox::Metrics {
        self.outbox_metrics.get(&service).cloned().unwrap_or_default()
    }

    /// Whether a role publishes for its service, or the relay role for all of them, when it runs.
    pub(crate) fn publishes(&self, role: Role) -> bool {
        let config = match role {
            Role::Consumer => &self.config.consumer.outbox,
            Role::Restaurant => &self.config.restaurant.outbox,
            Role::Order => &self.config.order.outbox,
            Role::Relay => &self.config.relay,
            Role::Gateway => return false,
        };
        config.publisher != outbox::Publisher::None
    }

    /// Starts a service role and plugs it in; of the gateway only the tasks are made here. A database server that is away is waited for:
    /// it may be started together with this process, or again.
    pub(crate) async fn start(&self, role: Role) -> Result<Running, Error> {
        loop {
            match self.try_to_start(role).await {
                Err(error) if self.config.stores.kind == StoreKind::Postgres && is_away(&error) => {
                    warn!(
                        role = role.name(),
                        error = &error as &dyn std::error::Error,
                        "database is away; looked for again"
                    );
                    sleep(START_AGAIN_AFTER).await;
                }
                result => return result,
            }
        }
    }

    async fn try_to_start(&self, role: Role) -> Result<Running, Error> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Start { role, source };
        let mut tasks = Tasks::new();
        match role {
            Role::Gateway => return Ok(Running { tasks }),
            Role::Relay => {
                self.start_relays(&mut tasks).await?;
                return Ok(Running { tasks });
            }
            Role::Consumer | Role::Restaurant | Role::Order => {}
        }
        let store = open(&self.config, role).await?;
        let bus = self.bus.clone();
        let outbox_metrics = self.outbox_metrics(role);
        let routes = match role {
            Role::Consumer => {
                let deps = consumer::Deps { store: store.clone(), bus, outbox_metrics };
                consumer::start(deps, self.config.consumer.clone(), &mut tasks)
                    .await
                    .map_err(|it| failed(Box::new(it)))?
            }
            Role::Restaurant => {
                let deps = restaurant::Deps { store: store.clone(), bus, outbox_metrics };
                restaurant::start(deps, self.config.restaurant.clone(), &mut tasks)
                    .await
                    .map_err(|it| failed(Box::new(it)))?
            }
            Role::Order => {
                let deps = order::Deps {
                    store: store.clone(),
                    bus,
                    metrics: self.order_metrics.clone(),
                    outbox_metrics,
                    consumer: self.upstreams[&Role::Consumer].clone(),
                    restaurant: self.upstreams[&Role::Restaurant].clone(),
                };
                let started = order::start(deps, self.config.order.clone(), &mut tasks).await;
                let order::Started { routes, pricing } = started.map_err(|it| failed(Box::new(it)))?;
                self.orders.send_replace(Some(Orders { store: store.clone(), pricing }));
                routes
            }
            Role::Relay | Role::Gateway => tonic::service::Routes::default(),
        };
        if let Some(slot) = self.slots.get(&role) {
            slot.fill(Guarded::new(routes, rpc::Config::default()));
        }
        self.databases.put(role, role, store);
        Ok(Running { tasks })
    }

    /// Publishes for every service.
    async fn start_relays(&self, tasks: &mut Tasks) -> Result<(), Error> {
        for (role, _) in SERVED {
            let store = open(&self.config, role).await?;
            outbox::migrate(&store).await.map_err(|source| Error::Store { role: role.name(), source })?;
            self.databases.put(role, Role::Relay, store.clone());
            let (metrics, config) = (self.outbox_metrics(role), self.config.relay.clone());
            tasks.spawn("relay", outbox::relay(store, self.bus.clone(), config, metrics, tasks.drain_request()));
        }
        Ok(())
    }

    /// Unplugs a service role, so that nothing new reaches it.
    pub(crate) fn unplug(&self, role: Role) {
        if let Some(slot) = self.slots.get(&role) {
            slot.clear();
        }
        self.databases.remove(role);
        if role == Role::Order {
            self.orders.send_replace(None);
        }
    }
}

fn uri(role: Role, address: &str) -> Result<Uri, Error> {
    address.parse().map_err(|source| Error::Upstream { role, address: address.to_owned(), source: Box::new(source) })
}

async fn open_bus(config: &Config) -> Result<Bus, Error> {
    match config.bus.kind {
        BusKind::Embedded => {
            let store = open_file(config, "channels")?;
            Ok(Bus::Embedded(Embedded::open(store, CHANNELS).await.map_err(Error::Channels)?))
        }
        BusKind::JetStream => {
            let bus = JetStream::connect(&config.bus.jetstream, CHANNELS).await.map_err(Error::Channels)?;
            Ok(Bus::JetStream(bus))
        }
    }
}

/// Whether a database is the reason, in a way that may pass.
fn is_away(error: &Error) -> bool {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        if error.downcast_ref().is_some_and(store::Error::is_transient) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Opens the store of a service.
pub(crate) async fn open(config: &Config, role: Role) -> Result<Store, Error> {
    let Some(postgres) = config.stores.postgres(role).filter(|_| config.stores.kind == StoreKind::Postgres) else {
        return open_file(config, role.name());
    };
    Store::open_postgres(postgres).await.map_err(|source| Error::Store { role: role.name(), source })
}

/// Opens the store of a service for reading only, beside the process that writes it; `None` when the service has never run here.
pub(crate) async fn inspect(config: &Config, role: Role) -> Result<Option<Store>, Error> {
    let opened = match (config.stores.kind, config.stores.postgres(role)) {
        (StoreKind::Postgres, Some(postgres)) => Store::inspect_postgres(postgres).await,
        (StoreKind::Sqlite, _) | (StoreKind::Postgres, None) => {
            let path = config.data_dir.join(format!("{role}.db"));
            if !path.is_file() {
                return Ok(None);
            }
            Store::inspect_sqlite(&path)
        }
    };
    opened.map(Some).map_err(|source| Error::Store { role: role.name(), source })
}

/// Opens one file of the data directory.
fn open_file(config: &Config, name: &'static str) -> Result<Store, Error> {
    let path = config.data_dir.join(format!("{name}.db"));
    Store::open_sqlite(&path, &store::Config::default()).map_err(|source| Error::Store { role: name, source })
}
