//! Finds out what each endpoint of a service serves, over the connection that its calls will take.

use super::agree::{Agreed, Version};
use super::description::Description;
use super::metrics::CatalogMetrics;
use super::reflect::{self, ReflectError, ReflectionConfig};
use arc_swap::ArcSwap;
use foldhash::{HashMap, HashSet};
use futures_util::future::BoxFuture;
use rpc::client::{Interview, Offer, Visit, Wanted};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{debug, warn};
use transcode::Dialect;

/// Asks the endpoints of one service. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Asker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    service: Arc<str>,
    config: ReflectionConfig,
    dialect: Dialect,
    known: Mutex<Known>,
    /// Which shapes an endpoint with an offer can serve.
    table: ArcSwap<HashMap<Offer, HashSet<u64>>>,
    news: watch::Sender<u64>,
    metrics: CatalogMetrics,
}

#[derive(Debug, Default)]
struct Known {
    endpoints: BTreeMap<SocketAddr, Heard>,
    /// What is served, and may be wanted by calls that have begun.
    served: Agreed,
    before: Agreed,
}

impl Known {
    fn find(&self, id: u64) -> Option<Arc<Description>> {
        let mut descriptions = self.endpoints.values().filter_map(|heard| heard.description.as_ref());
        descriptions.find(|description| description.id == id).cloned()
    }
}

/// What an endpoint has said last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) description: Option<Arc<Description>>,
    /// Why it has not said anything newer.
    pub(crate) fault: Option<String>,
}

impl Asker {
    /// `news` is told of whatever is heard.
    pub(crate) fn new(
        service: Arc<str>,
        config: ReflectionConfig,
        dialect: Dialect,
        news: watch::Sender<u64>,
        metrics: CatalogMetrics,
    ) -> Self {
        let (known, table) = (Mutex::default(), ArcSwap::default());
        Asker(Arc::new(Shared { service, config, dialect, known, table, news, metrics }))
    }

    /// What was heard of endpoints that are listed; what was heard of others is forgotten.
    pub(crate) fn heard(&self, is_listed: impl Fn(&SocketAddr) -> bool) -> BTreeMap<SocketAddr, Heard> {
        let mut known = self.0.known();
        known.endpoints.retain(|address, _| is_listed(address));
        known.endpoints.clone()
    }

    /// Says what is served from now on, so that endpoints are known by which of it they can serve.
    pub(crate) fn serve(&self, agreed: &Agreed) {
        let mut known = self.0.known();
        known.before = std::mem::replace(&mut known.served, agreed.clone());
        self.0.tabulate(&known);
    }
}

/// The versions among endpoints, and how many are of each.
pub(crate) fn versions<'h>(heard: impl Iterator<Item = &'h Heard>) -> Vec<Version> {
    let mut versions: Vec<Version> = Vec::new();
    for description in heard.filter_map(|heard| heard.description.as_ref()) {
        match versions.iter_mut().find(|version| version.description.id == description.id) {
            Some(version) => version.endpoints += 1,
            None => versions.push(Version { description: description.clone(), endpoints: 1 }),
        }
    }
    versions
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        // What it holds is whole at any time.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn describe(&self, visit: Visit) -> Result<Arc<Description>, ReflectError> {
        let reflect::Reflected { set, services } = reflect::ask(visit, &self.config).await?;
        // Endpoints of one version share what is known of it.
        if let Some(same) = self.known().find(Description::id(&set, Some(&services))) {
            return Ok(same);
        }
        let dialect = self.dialect;
        let read = spawn_blocking(move || Description::read(&set, Some(&services), dialect)).await;
        Ok(Arc::new(read.map_err(|_| ReflectError::Nonsense)?.map_err(ReflectError::Misfit)?))
    }

    /// Takes down what an endpoint has said; returns its offer.
    fn take(&self, address: SocketAddr, description: Arc<Description>) -> Offer {
        let offer = Offer(description.id);
        let mut known = self.known();
        let heard = Heard { description: Some(description), fault: None };
        let before = known.endpoints.insert(address, heard);
        let is_news = before.is_none_or(|it| it.fault.is_some() || it.description.is_none_or(|it| it.id != offer.0));
        self.tabulate(&known);
        drop(known);
        self.metrics.reflected(true);
        if is_news {
            debug!(service = &*self.service, peer = %address, "endpoint described itself");
            self.news.send_modify(|count| *count += 1);
        }
        offer
    }

    fn suffer(&self, address: SocketAddr, error: &ReflectError) {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        let fault = format!("{error}{cause}");
        let mut known = self.known();
        let heard = known.endpoints.entry(address).or_default();
        let is_news = heard.fault.as_ref() != Some(&fault);
        heard.fault = Some(fault);
        drop(known);
        self.metrics.reflected(false);
        if is_news {
            warn!(
                service = &*self.service,
                peer = %address,
                error = error as &dyn std::error::Error,
                "endpoint could not be asked what it serves"
            );
            self.news.send_modify(|count| *count += 1);
        }
    }

    /// Finds out which endpoints can serve what is wanted, or may be soon.
    fn tabulate(&self, known: &Known) {
        let mut table: HashMap<Offer, HashSet<u64>> = HashMap::default();
        let descriptions: Vec<&Arc<Description>> =
            known.endpoints.values().filter_map(|heard| heard.description.as_ref()).collect();
        for description in &descriptions {
            let offer = Offer(description.id);
            if table.contains_key(&offer) {
                continue;
            }
            let mut shapes = HashSet::default();
            for (path, own) in &description.methods {
                let served = [&known.served, &known.before].into_iter().filter_map(|agreed| agreed.methods.get(path));
                let served = served.filter_map(|chosen| chosen.described(path));
                let others = descriptions.iter().filter_map(|other| other.methods.get(path)).chain(served);
                let able = others.filter(|other| own.shape.includes(&other.shape));
                shapes.extend(able.map(|other| other.shape.id));
            }
            table.insert(offer, shapes);
        }
        self.table.store(Arc::new(table));
    }
}

impl Interview for Asker {
    fn ask(&self, visit: Visit, known: Option<Offer>) -> BoxFuture<'static, Offer> {
        let shared = self.0.clone();
        Box::pin(async move {
            let address = visit.address();
            let again = || Duration::from_millis(shared.config.again_ms).mul_f64(0.9 + fastrand::f64() / 5.0);
            let mut backoff_ms = shared.config.backoff_ms.max(1);
            if known.is_some() {
                sleep(again()).await;
            }
            loop {
                match shared.describe(visit.clone()).await {
                    Ok(description) => {
                        let offer = shared.take(address, description);
                        if Some(offer) != known {
                            return offer;
                        }
                        backoff_ms = shared.config.backoff_ms.max(1);
                        sleep(again()).await;
                    }
                    Err(error) => {
                        shared.suffer(address, &error);
                        sleep(Duration::from_millis(backoff_ms / 2 + fastrand::u64(..=backoff_ms / 2))).await;
                        backoff_ms = (backoff_ms * 2).min(shared.config.backoff_max_ms.max(1));
                    }
                }
            }
        })
    }

    fn admits(&self, offer: Offer, wanted: Wanted) -> bool {
        self.0.table.load().get(&offer).is_some_and(|shapes| shapes.contains(&wanted.0))
    }
}
