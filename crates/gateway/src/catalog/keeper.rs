//! Follows foreign services, and replaces the catalog whenever what is to be served has changed.

mod settings;

pub(crate) use settings::{Control, Settings};

use super::asker::Asker;
use super::change::Change;
use super::description::Description;
use super::foreign::{Foreign, Origin, Source};
use super::merge::{Outcome, merge};
use super::metrics::Sizes;
use super::view::{Directory, Moment, Shown};
use super::{CatalogMetrics, Current, Part, ServiceConfig};
use crate::{Config, Error, own};
use discovery::{Endpoints, Tagged};
use guard::Guard;
use lifecycle::{Drain, Tasks};
use rpc::Upstream;
use rpc::client::{ClientConfig, ClientMetrics, MethodConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};

/// The pause after a change, in which others may come that belong to it. 20 ms: nobody notices, and a burst makes one catalog.
const PAUSE: Duration = Duration::from_millis(20);
/// How often it is looked whether a service that was removed has ended its calls.
const LEAVING_LOOK: Duration = Duration::from_secs(1);

/// Follows the endpoints of a service of that name, in these tasks.
pub type Watch = Arc<dyn Fn(&mut Tasks, &str) -> Endpoints + Send + Sync>;

/// The services that are not of Comanda's contract, and how they are called.
#[derive(Default)]
pub struct ForeignServices {
    /// Those that the configuration names.
    pub configured: Vec<Configured>,
    /// Where others are found.
    pub found: Option<Found>,
    /// How they are called.
    pub client: ClientConfig,
    /// What of that is counted.
    pub client_metrics: ClientMetrics,
}

/// A service that the configuration names; how it is served stands under the same name in [`Config::services`].
#[derive(Debug)]
pub struct Configured {
    /// What it is called in logs, metrics and what callers are told.
    pub name: String,
    /// What Consul calls it, where it is looked for there.
    pub consul: Option<String>,
    /// Where it is.
    pub endpoints: Endpoints,
    /// Who follows that.
    pub tasks: Tasks,
}

/// Services that come and go.
pub struct Found {
    /// Their names.
    pub tagged: Tagged,
    /// How the endpoints of one are followed.
    pub watch: Watch,
}

/// Follows foreign services.
pub(crate) struct Keeper {
    /// What is always there.
    base: Vec<Part>,
    current: Arc<Current>,
    directory: Directory,
    metrics: CatalogMetrics,
    config: Config,
    found: Option<Found>,
    client: ClientConfig,
    client_metrics: ClientMetrics,
    news: watch::Sender<u64>,
    services: Vec<Kept>,
    /// Those that replace others as soon as they can be called, at the latest at this time.
    coming: Vec<(Instant, Kept)>,
    leaving: Vec<(Instant, Kept)>,
    /// Counts services, to tell those of the same name apart, and the order in which they were first served.
    count: u64,
    /// What the catalog of now was made of.
    basis: Option<Basis>,
    guard: watch::Sender<Guard>,
    settings: mpsc::Receiver<Settings>,
    drain: Drain,
}

/// By service, which is told apart by its number: its methods, and what they look like.
type Basis = Vec<(u64, Vec<(Arc<str>, u64)>)>;

/// A foreign service, and what the keeper knows of it.
struct Kept {
    number: u64,
    /// What Consul calls it, if it is configured as one that is there.
    consul: Option<Arc<str>>,
    foreign: Foreign,
    /// When it was first served, in the order of all: who came first keeps what others want as well.
    seniority: Option<u64>,
    outcome: Outcome,
    last_change: Option<(SystemTime, Change)>,
    /// What was said of it last.
    told: BTreeSet<String>,
    _tasks: Tasks,
}

impl Keeper {
    /// Takes in the services of the configuration, and makes the first catalog.
    ///
    /// # Errors
    /// When a descriptor file cannot be used, or a setting of a breaker is out of its range.
    pub(crate) async fn start(
        foreign: ForeignServices,
        base: Vec<Part>,
        (current, directory, metrics): (Arc<Current>, Directory, CatalogMetrics),
        config: Config,
        (guard, drain): (Guard, Drain),
    ) -> Result<(Self, Control), Error> {
        let ForeignServices { configured, found, client, client_metrics } = foreign;
        let (guard, guard_now) = watch::channel(guard);
        let (sender, settings) = mpsc::channel(settings::WAITING_MAX);
        let mut keeper = Keeper {
            base,
            current,
            directory,
            metrics,
            config,
            found,
            client,
            client_metrics,
            news: watch::Sender::new(0),
            services: Vec::new(),
            coming: Vec::new(),
            leaving: Vec::new(),
            count: 0,
            basis: None,
            guard,
            settings,
            drain,
        };
        let services = keeper.config.services.clone();
        keeper.follow(&services, configured)?;
        keeper.settle().await;
        Ok((keeper, Control { guard: guard_now, settings: sender }))
    }

    /// Follows them until the drain.
    pub(crate) async fn run(mut self) {
        let drain = self.drain.clone();
        let mut news = self.news.subscribe();
        let mut tagged = self.found.as_ref().map(|found| found.tagged.clone());
        let follow = async {
            loop {
                news.mark_unchanged();
                self.settle().await;
                sleep(PAUSE).await;
                let due = self.due();
                // Cancel safe: a change that nobody waits for is seen by the next wait.
                tokio::select! {
                    _changed = news.changed() => {}
                    () = changed(&mut tagged) => {}
                    () = until(due) => {}
                    Some(settings) = self.settings.recv() => self.change(settings).await,
                }
            }
        };
        tokio::select! {
            biased;
            () = drain.requested() => {}
            never = follow => match never {},
        }
    }

    /// Looks at all services, and replaces the catalog if something else is to be served.
    async fn settle(&mut self) {
        self.gather();
        let (now, grace) = (Instant::now(), self.config.catalog.absent_grace());
        self.let_in(now, grace);
        for kept in &mut self.services {
            kept.foreign.look(now, grace);
            if kept.foreign.agreed.methods.is_empty() {
                kept.seniority = None;
            } else if kept.seniority.is_none() {
                self.count += 1;
                kept.seniority = Some(self.count);
            }
        }
        self.part_with(now, grace);
        self.services.sort_by_key(|kept| (kept.seniority.unwrap_or(u64::MAX), kept.number));
        self.publish().await;
        self.tell();
    }

    /// Takes in services that were found, and marks those that are not any more.
    fn gather(&mut self) {
        let Some(found) = &self.found else { return };
        let listing = found.tagged.now();
        if !listing.is_known {
            return;
        }
        let names: BTreeSet<&String> = listing.names.iter().filter(|name| !self.is_configured(name)).collect();
        for kept in self.services.iter_mut().filter(|kept| kept.foreign.origin == Origin::Found) {
            kept.foreign.is_listed = names.contains(&kept.foreign.name.to_string());
        }
        let is_known = |name: &str| self.services.iter().any(|kept| &*kept.foreign.name == name);
        let new: Vec<Arc<str>> =
            names.into_iter().filter(|name| !is_known(name)).map(|name| name.as_str().into()).collect();
        let watch = found.watch.clone();
        for name in new {
            if self.services.len() >= self.config.catalog.services_max {
                warn!(
                    service = &*name,
                    max = self.config.catalog.services_max,
                    "service not taken: there are too many"
                );
                break;
            }
            match self.take_found(name.clone(), &watch) {
                Ok(kept) => self.services.push(kept),
                Err(error) => {
                    error!(service = &*name, error = &error as &dyn std::error::Error, "service not taken");
                }
            }
        }
    }

    /// Whether the configuration names a service that Consul calls so, or that it calls so itself.
    fn is_configured(&self, name: &str) -> bool {
        let all = self.services.iter().chain(self.coming.iter().map(|(_, kept)| kept));
        let mut configured = all.filter(|kept| kept.foreign.origin == Origin::Configured);
        configured.any(|kept| *kept.foreign.name == *name || kept.consul.as_deref() == Some(name))
    }

    fn take_configured(&mut self, service: Configured, settings: Option<&ServiceConfig>) -> Result<Kept, Error> {
        let Configured { name, consul, endpoints, tasks } = service;
        let kept = self.take(Origin::Configured, name.into(), (endpoints, tasks), settings)?;
        Ok(Kept { consul: consul.map(Into::into), ..kept })
    }

    fn take_found(&mut self, name: Arc<str>, watch: &Watch) -> Result<Kept, Error> {
        let mut tasks = Tasks::new();
        let endpoints = watch(&mut tasks, &name);
        self.take(Origin::Found, name, (endpoints, tasks), None)
    }

    /// Begins to follow a service.
    fn take(
        &mut self,
        origin: Origin,
        name: Arc<str>,
        (endpoints, mut tasks): (Endpoints, Tasks),
        settings: Option<&ServiceConfig>,
    ) -> Result<Kept, Error> {
        let dialect = settings.map(ServiceConfig::dialect).unwrap_or_default();
        let source = match settings.and_then(|settings| settings.descriptors.clone()) {
            Some(path) => {
                let set = descriptors(&name, &path)?;
                let description = Description::read(&set, None, dialect);
                let description = description.map_err(|error| unusable(&name, &path, error))?;
                Source::File(path, Arc::new(description))
            }
            None => {
                let reflection = self.config.catalog.reflection.clone();
                let (news, metrics) = (self.news.clone(), self.metrics.clone());
                Source::Reflection(Asker::new(name.clone(), reflection, dialect, news, metrics))
            }
        };
        let (client, metrics) = (&self.client, &self.client_metrics);
        let upstream = match &source {
            Source::File(..) => Upstream::discovered(name.clone(), endpoints.clone(), client, metrics),
            Source::Reflection(asker) => {
                Upstream::interviewed(name.clone(), endpoints.clone(), Arc::new(asker.clone()), client, metrics)
            }
        };
        let upstream = upstream.map_err(Error::Client)?;
        tasks.spawn("catalog-news", report(endpoints.clone(), upstream.clone(), self.news.clone()));
        info!(service = &*name, origin = origin.name(), "service taken in");
        self.count += 1;
        let foreign = Foreign::new(name, origin, source, endpoints, upstream);
        let (outcome, told) = (Outcome::default(), BTreeSet::new());
        let (consul, seniority, last_change) = (None, None, None);
        Ok(Kept { number: self.count, consul, foreign, seniority, outcome, last_change, told, _tasks: tasks })
    }

    /// Lets services go that nobody lists any more, once their routes may. Their upstreams stay until the calls in flight have ended.
    fn part_with(&mut self, now: Instant, grace: Duration) {
        self.leaving.retain(|(until, kept)| *until > now && kept.is_busy());
        let tag = &self.config.discover.tag;
        let gone = self.services.extract_if(.., |kept| {
            let foreign = &kept.foreign;
            let is_over = foreign.absent_since.is_some_and(|since| now >= since + grace);
            !foreign.is_listed && (is_over || foreign.is_withdrawn(tag))
        });
        for kept in gone.collect::<Vec<_>>() {
            self.let_go(kept, now);
        }
    }

    fn let_go(&mut self, kept: Kept, now: Instant) {
        let name = &kept.foreign.name;
        info!(service = &**name, removed = kept.outcome.told(), "service removed from the catalog");
        self.metrics.forget(name);
        self.leaving.push((self.leaves_until(now), kept));
    }

    /// How long a service that is not served any more has for the calls that it works on.
    fn leaves_until(&self, now: Instant) -> Instant {
        now + Duration::from_millis(self.client.pool.drain_ms)
    }

    /// Replaces the catalog if it would be made of something else.
    async fn publish(&mut self) {
        let basis: Basis = self.services.iter().map(|kept| (kept.number, kept.foreign.faces())).collect();
        if self.basis.as_ref() == Some(&basis) {
            return;
        }
        for kept in &self.services {
            kept.foreign.upstream.know(known(&kept.foreign, &self.client.methods));
        }
        let merged = merge(&self.base, self.services.iter().map(|kept| &kept.foreign));
        let (config, around) = (self.config.transcode.clone(), (self.guard.borrow().clone(), self.drain.clone()));
        // Descriptors are somebody else's, and may be many.
        let guard = &self.config.guard;
        let document = if self.has_contract() { own::document(guard) } else { own::foreign_document(guard) };
        let made = spawn_blocking(move || merged.into_catalog(&config, &document, around)).await;
        let (catalog, mut outcomes) = match made {
            Ok(made) => made,
            Err(error) => {
                error!(error = %error, "catalog could not be made; what was served before still is");
                return;
            }
        };
        self.current.replace(catalog);
        self.basis = Some(basis);
        self.metrics.changed();
        for kept in &mut self.services {
            let outcome = outcomes.remove(&kept.foreign.name).unwrap_or_default();
            kept.note(outcome);
        }
    }

    fn has_contract(&self) -> bool {
        self.base.iter().any(|part| !part.rules.is_empty())
    }

    /// Shows how things are, and tells what is newly wrong.
    fn tell(&mut self) {
        for kept in &mut self.services {
            let wrong = kept.wrong();
            for what in wrong.difference(&kept.told) {
                warn!(service = &*kept.foreign.name, what, "service is not served as it wants to be");
            }
            let (routes, versions) = (kept.outcome.routes.len(), kept.foreign.versions);
            self.metrics.show(&kept.foreign.name, Sizes { routes, versions, conflicts: wrong.len() });
            kept.told = wrong;
        }
        self.directory.show(self.services.iter().map(Kept::shown).collect());
    }

    /// When it has to be looked again although nothing happens.
    fn due(&self) -> Option<Instant> {
        let grace = self.config.catalog.absent_grace();
        let ends = self.services.iter().filter_map(|kept| kept.foreign.due(grace));
        let ends = ends.chain(self.coming.iter().map(|(at_latest, _)| *at_latest));
        ends.chain((!self.leaving.is_empty()).then(|| Instant::now() + LEAVING_LOOK)).min()
    }
}

impl Kept {
    /// Takes down what is served of it now.
    fn note(&mut self, outcome: Outcome) {
        let change = Change::between(&self.outcome.entries, &outcome.entries);
        self.outcome = outcome;
        if change.is_none() {
            return;
        }
        let [added, changed, removed] = [&change.added, &change.changed, &change.removed].map(|them| them.join(", "));
        info!(service = &*self.foreign.name, added, changed, removed, "catalog changed");
        self.last_change = Some((SystemTime::now(), change));
    }

    /// All that keeps it from being served as it wants to be.
    fn wrong(&self) -> BTreeSet<String> {
        let mut wrong = self.outcome.conflicts.clone();
        wrong.extend(self.foreign.undescribed.iter().chain(&self.foreign.agreed.differences).cloned());
        let refused = self.foreign.agreed.methods.values().flat_map(|chosen| &chosen.description.refused);
        wrong.extend(refused.cloned());
        wrong
    }

    fn is_busy(&self) -> bool {
        self.foreign.upstream.view().endpoints.iter().any(|endpoint| endpoint.in_flight > 0)
    }

    fn shown(&self) -> Shown {
        let moment = Moment {
            routes: self.outcome.routes.clone(),
            wrong: self.wrong(),
            last_change: self.last_change.clone(),
            agreed: self.foreign.agreed.clone(),
            absent_since: self.foreign.absent_since,
        };
        Shown::of(&self.foreign, moment)
    }
}

/// What the descriptor file of a service holds now.
fn descriptors(name: &str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| unusable(name, path, error))
}

fn unusable(name: &str, path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Descriptors { service: name.to_owned(), path: path.to_owned(), source: error.into() }
}

/// What may be done again: as the methods say, and as the configuration says instead.
fn known(foreign: &Foreign, configured: &BTreeMap<String, MethodConfig>) -> BTreeMap<String, MethodConfig> {
    let described = foreign.agreed.methods.iter().filter_map(|(path, chosen)| {
        let config = chosen.described(path)?.config.clone()?;
        Some((path.to_string(), config))
    });
    described.chain(configured.iter().map(|(path, config)| (path.clone(), config.clone()))).collect()
}

/// Tells whenever endpoints come or go, or connections to them.
async fn report(mut endpoints: Endpoints, mut upstream: Upstream, news: watch::Sender<u64>) {
    loop {
        // Cancel safe: a change that nobody waits for is seen by the next wait.
        tokio::select! {
            listed = endpoints.changed() => if listed.is_err() {
                // The last list stays; connections go on.
                upstream.changed().await;
            },
            () = upstream.changed() => {}
        }
        news.send_modify(|count| *count += 1);
    }
}

async fn changed(tagged: &mut Option<Tagged>) {
    let is_followed = match tagged {
        Some(tagged) => tagged.changed().await.is_ok(),
        None => false,
    };
    if !is_followed {
        // Nobody looks for services, or not any more: the last list stays.
        std::future::pending::<()>().await;
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Found").field("tagged", &self.tagged).finish_non_exhaustive()
    }
}
