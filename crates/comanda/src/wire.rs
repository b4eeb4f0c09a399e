//! How the roles hang together: which store, which channels, which upstreams.

use crate::config::{BusKind, Place, StoreKind, parse_place, service_name};
use crate::databases::Databases;
use crate::{Config, Error, Role, methods};
use discovery::{Consul, Endpoints};
use gateway::{Configured, Directory, ForeignServices, Found, ServiceConfig};
use lifecycle::Tasks;
use messaging::{Bus, Channel, Embedded, JetStream, Keeps};
use prometheus_client::registry::Registry;
use proto::channel;
use rpc::client::{ClientConfig, ClientMetrics};
use rpc::{Guarded, Served, Slot, Upstream};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tokio::time::sleep;
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
    bus: Option<Bus>,
    upstreams: BTreeMap<Role, Upstream>,
    slots: BTreeMap<Role, Slot>,
    order_metrics: order::Metrics,
    outbox_metrics: BTreeMap<Role, outbox::Metrics>,
    orders: watch::Sender<Option<Orders>>,
    databases: Databases,
    consul: Option<Consul>,
    client_metrics: ClientMetrics,
    /// What the gateway serves of foreign services.
    pub(crate) directory: Directory,
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
    /// Opens the channels, looks for the services of other processes until the drain of `tasks`, and registers what is counted.
    pub(crate) async fn new(config: Config, registry: &mut Registry, tasks: &mut Tasks) -> Result<Self, Error> {
        let bus = if config.is_bare_gateway() { None } else { Some(open_bus(&config).await?) };
        let served = if config.is_bare_gateway() { &[][..] } else { &SERVED[..] };
        let consul = config.consul.clone().map(Consul::new).transpose().map_err(Error::Discovery)?;
        let client = ClientConfig { methods: methods::known(&config.client.methods), ..config.client.clone() };
        let client_metrics = ClientMetrics::register(registry);
        let (mut upstreams, mut slots) = (BTreeMap::new(), BTreeMap::new());
        let mut outbox_metrics = BTreeMap::new();
        for (role, _) in served.iter().copied() {
            let upstream = match place(&config, role)? {
                Some(place) => {
                    let setting = format!("upstreams.{role}");
                    let endpoints = find(setting, place, consul.as_ref(), tasks)?;
                    Upstream::discovered(role.name(), endpoints, &client, &client_metrics)
                }
                None => {
                    let slot = Slot::new(role.name());
                    let upstream = Upstream::plugged(&slot, &client, &client_metrics);
                    slots.insert(role, slot);
                    upstream
                }
            };
            upstreams.insert(role, upstream.map_err(Error::Client)?);
            let label = (Cow::Borrowed("service"), Cow::Borrowed(role.name()));
            outbox_metrics.insert(role, outbox::Metrics::register(registry.sub_registry_with_label(label)));
        }
        let order_metrics = order::Metrics::register(registry);
        let (orders, databases) = (watch::Sender::new(None), Databases::default());
        let directory = Directory::default();
        Ok(Wiring {
            config,
            bus,
            upstreams,
            slots,
            order_metrics,
            outbox_metrics,
            orders,
            databases,
            consul,
            client_metrics,
            directory,
        })
    }

    /// What calls a role.
    pub(crate) fn upstream(&self, role: Role) -> Option<&Upstream> {
        self.upstreams.get(&role)
    }

    /// What calls each service.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        self.upstreams.values()
    }

    /// The server of a role that runs here, as other processes see it.
    pub(crate) fn served(&self, role: Role) -> Option<Served> {
        self.slots.get(&role).map(Slot::served)
    }

    /// The agents of Consul, where it is used.
    pub(crate) fn consul(&self) -> Option<&Consul> {
        self.consul.as_ref()
    }

    /// The channels; `None` in a gateway for foreign services.
    pub(crate) fn bus(&self) -> Option<&Bus> {
        self.bus.as_ref()
    }

    /// The foreign services of the configuration, and those of Consul, which are followed until the drain of `tasks`.
    pub(crate) fn foreign(&self, gateway: &gateway::Config, tasks: &mut Tasks) -> Result<ForeignServices, Error> {
        let configured = self.configured(gateway)?;
        let discover = &gateway.discover;
        let consul = self.consul().filter(|_| discover.is_on).cloned();
        let found = consul.map(|consul| Found {
            tagged: consul.tagged(tasks, &discover.tag),
            watch: Arc::new(move |tasks, name| consul.watch(tasks, name)),
        });
        let (client, client_metrics) = (self.config.client.clone(), self.client_metrics.clone());
        Ok(ForeignServices { configured, found, client, client_metrics })
    }

    /// The foreign services that a configuration names, which are followed from now on.
    pub(crate) fn configured(&self, gateway: &gateway::Config) -> Result<Vec<Configured>, Error> {
        let configured = |(name, service): (&String, &ServiceConfig)| {
            let wrong = || Error::Service { name: name.clone(), place: service.from.clone() };
            let place = parse_place(&service.from).ok_or_else(wrong)?;
            let consul = match &place {
                Place::Consul(service) => Some(service.clone()),
                Place::Fixed(_) | Place::Dns(_) => None,
            };
            let mut tasks = Tasks::new();
            let endpoints = find(format!("gateway.services.{name}"), place, self.consul(), &mut tasks)?;
            Ok(Configured { name: name.clone(), consul, endpoints, tasks })
        };
        gateway.services.iter().map(configured).collect()
    }

    /// The upstream of each gRPC service of the contract, where it is served.
    pub(crate) fn services(&self) -> BTreeMap<&'static str, Upstream> {
        let served = SERVED.into_iter().filter(|_| self.config.serves_contract());
        served.filter_map(|(role, service)| Some((service, self.upstream(role)?.clone()))).collect()
    }

    /// Whether this process was started with a role.
    pub(crate) fn runs(&self, role: Role) -> bool {
        self.config.roles.contains(&role)
    }

    /// Whether this process has to do with a role: it runs it, or speaks to clients for it, or takes orders that it is to validate.
    pub(crate) fn knows(&self, role: Role) -> bool {
        if self.runs(role) {
            return true;
        }
        let is_told = matches!(place(&self.config, role), Ok(Some(_)));
        self.config.serves_contract() && (self.runs(Role::Gateway) || (self.runs(Role::Order) && is_told))
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
        let bus = self.bus.clone().ok_or(Error::NoChannels)?;
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
        let bus = self.bus.clone().ok_or(Error::NoChannels)?;
        for (role, _) in SERVED {
            let store = open(&self.config, role).await?;
            outbox::migrate(&store).await.map_err(|source| Error::Store { role: role.name(), source })?;
            self.databases.put(role, Role::Relay, store.clone());
            let (metrics, config) = (self.outbox_metrics(role), self.config.relay.clone());
            tasks.spawn("relay", outbox::relay(store, bus.clone(), config, metrics, tasks.drain_request()));
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

/// Where a service of another process is looked for; `None`: it is one of this process.
fn place(config: &Config, role: Role) -> Result<Option<Place>, Error> {
    if config.roles.contains(&role) {
        return Ok(None);
    }
    let by_default = || config.consul.is_some().then(|| Place::Consul(service_name(role)));
    Ok(config.upstreams.get(role)?.or_else(by_default))
}

fn find(setting: String, place: Place, consul: Option<&Consul>, tasks: &mut Tasks) -> Result<Endpoints, Error> {
    match place {
        Place::Fixed(addresses) => Ok(discovery::fixed(addresses)),
        Place::Dns(config) => discovery::dns(tasks, config).map_err(Error::Discovery),
        Place::Consul(service) => Ok(consul.ok_or(Error::NoConsul { setting })?.watch(tasks, &service)),
    }
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
