//! How the roles hang together: which store, which channels, which upstreams.

use crate::{Config, Error, Role};
use lifecycle::Tasks;
use messaging::{Bus, Channel, Embedded, Keeps};
use prometheus_client::registry::Registry;
use proto::channel;
use rpc::{Guarded, Slot, Upstream};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use store::Store;
use tokio::sync::watch;

/// The channels of the platform. A channel keeps what a consumer has not seen, whether or not its role runs.
const CHANNELS: &[Channel] = &[
    Channel { name: channel::CONSUMER_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &["consumer"] },
    Channel { name: channel::RESTAURANT_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &["restaurant"] },
    Channel { name: channel::ORDER_REPLIES, keeps: Keeps::UntilAcknowledged, consumers: &[order::REPLIES_CONSUMER] },
    Channel { name: channel::RESTAURANT_EVENTS, keeps: Keeps::LastOfEachKey, consumers: &[order::REPLICA_CONSUMER] },
];

/// The services that the gateway calls, by the role that serves them.
const SERVED: [(Role, &str); 3] = [
    (Role::Order, "comanda.order.v1.OrderService"),
    (Role::Consumer, "comanda.consumer.v1.ConsumerService"),
    (Role::Restaurant, "comanda.restaurant.v1.RestaurantService"),
];

/// What all roles of a process share.
pub(crate) struct Wiring {
    config: Config,
    pub(crate) bus: Bus,
    upstreams: BTreeMap<Role, (Upstream, Slot)>,
    order_metrics: order::Metrics,
    outbox_metrics: BTreeMap<Role, outbox::Metrics>,
    order_store: watch::Sender<Option<Store>>,
}

/// A role that runs.
pub(crate) struct Running {
    pub(crate) tasks: Tasks,
}

impl Wiring {
    /// Opens the channels and registers what is counted.
    pub(crate) async fn new(config: Config, registry: &mut Registry) -> Result<Self, Error> {
        let store = open(&config.data_dir, "channels")?;
        let bus = Bus::Embedded(Embedded::open(store, CHANNELS).await.map_err(Error::Channels)?);
        let mut upstreams = BTreeMap::new();
        let mut outbox_metrics = BTreeMap::new();
        for (role, _) in SERVED {
            upstreams.insert(role, Upstream::in_process(role.name()));
            let label = (Cow::Borrowed("service"), Cow::Borrowed(role.name()));
            outbox_metrics.insert(role, outbox::Metrics::register(registry.sub_registry_with_label(label)));
        }
        let order_metrics = order::Metrics::register(registry);
        Ok(Wiring { config, bus, upstreams, order_metrics, outbox_metrics, order_store: watch::Sender::new(None) })
    }

    /// What calls a role.
    pub(crate) fn upstream(&self, role: Role) -> Option<&Upstream> {
        self.upstreams.get(&role).map(|(upstream, _)| upstream)
    }

    /// The upstream of each gRPC service.
    pub(crate) fn services(&self) -> BTreeMap<&'static str, Upstream> {
        let served = SERVED.into_iter();
        served.filter_map(|(role, service)| Some((service, self.upstream(role)?.clone()))).collect()
    }

    /// The order database, while the Order Service runs here.
    pub(crate) fn order_store(&self) -> Option<Store> {
        self.order_store.borrow().clone()
    }

    /// Starts a service role and plugs it in; of the gateway only the tasks are made here.
    pub(crate) async fn start(&self, role: Role) -> Result<Running, Error> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Start { role, source };
        let mut tasks = Tasks::new();
        if role == Role::Gateway {
            return Ok(Running { tasks });
        }
        let store = open(&self.config.data_dir, role.name())?;
        let bus = self.bus.clone();
        let outbox_metrics = self.outbox_metrics.get(&role).cloned().unwrap_or_default();
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
                let deps =
                    order::Deps { store: store.clone(), bus, metrics: self.order_metrics.clone(), outbox_metrics };
                order::start(deps, self.config.order.clone(), &mut tasks).await.map_err(|it| failed(Box::new(it)))?
            }
            Role::Gateway => tonic::service::Routes::default(),
        };
        if let Some((_, slot)) = self.upstreams.get(&role) {
            slot.fill(Guarded::new(routes, rpc::Config::default()));
        }
        if role == Role::Order {
            self.order_store.send_replace(Some(store));
        }
        Ok(Running { tasks })
    }

    /// Unplugs a service role, so that nothing new reaches it.
    pub(crate) fn unplug(&self, role: Role) {
        if let Some((_, slot)) = self.upstreams.get(&role) {
            slot.clear();
        }
        if role == Role::Order {
            self.order_store.send_replace(None);
        }
    }
}

/// Opens one file of the data directory.
pub(crate) fn open(data_dir: &Path, name: &'static str) -> Result<Store, Error> {
    let path = data_dir.join(format!("{name}.db"));
    Store::open_sqlite(&path, &store::Config::default()).map_err(|source| Error::Store { role: name, source })
}
