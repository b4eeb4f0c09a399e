//! The endpoints of a service: kept as discovery lists them, connected to, probed, and picked from.
//!
//! A call is picked for in its caller's task, from a list that is replaced as a whole. There is no worker that all calls pass through, as in
//! `tower::Buffer`, and nothing that hides a service without endpoints behind "not ready" for ever.

use super::endpoint::{Endpoint, Terms};
use super::line::{Line, dial};
use super::metrics::{Again, ServiceMetrics};
use super::pick::{ENDPOINTS_MAX, Gate, Rule, Seen, ejections_max, eligible};
use super::view::{EndpointView, Reached};
use super::{Attempt, Fault, Methods, probe};
use breaker::{Breaker, OwnedPermit, State};
use discovery::{Change, Endpoints, Standing, deltas};
use http::{Request, Response};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::Service;
use tracing::{debug, info, warn};

/// How the endpoints of a service are used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// How long a call waits for the first endpoint that can be reached; calls that come later wait for what is left of that, and then fail
    /// at once. In milliseconds. 1,000: a service that is restarted is back by then, and a user does not wait longer.
    pub failfast_ms: u64,
    /// How long one attempt may take until its answer begins, in milliseconds; 0: as long as its call. 5,000: five times what counts as slow,
    /// so that an endpoint that hangs is left while its callers still wait.
    pub attempt_timeout_ms: u64,
    /// How long a connection may take to be made, in milliseconds. 1,000: services are near each other.
    pub connect_timeout_ms: u64,
    /// The pause before a connection is tried again, doubled each time, less up to a half at random, in milliseconds.
    pub reconnect_ms: u64,
    /// The longest such pause. 250: an attempt costs a packet, and a peer that is back is used a quarter of a second later.
    pub reconnect_max_ms: u64,
    /// How often an idle connection is asked whether it is alive, in milliseconds.
    pub keepalive_ms: u64,
    /// When fewer of the endpoints work than this part of them, in percent, the breakers are not asked. 50, as in Envoy: the fault is rather
    /// with the client, or with all of them.
    pub panic_percent: u32,
    /// The part of the endpoints that open breakers may leave out at once, in percent; one at least, and never all.
    pub ejected_max_percent: u32,
    /// Endpoints that are connected to at most, 1 to 64; of more, each client uses some of its own. 20: enough to spread the load, and few
    /// enough connections on a server with many clients.
    pub subset_max: usize,
    /// The zone that this client is in; its endpoints are preferred.
    pub zone: Option<String>,
    /// How long calls of an endpoint that was removed may go on, in milliseconds.
    pub drain_ms: u64,
    /// The breaker of each endpoint. It is open for 10 s at most (`open_max_ms`): a probe is a health check, which costs no user anything.
    pub breaker: breaker::Config,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            failfast_ms: 1_000,
            attempt_timeout_ms: 5_000,
            connect_timeout_ms: 1_000,
            reconnect_ms: 50,
            reconnect_max_ms: 250,
            keepalive_ms: 5_000,
            panic_percent: 50,
            ejected_max_percent: 50,
            subset_max: 20,
            zone: None,
            drain_ms: 30_000,
            breaker: breaker::Config { open_max_ms: 10_000, ..breaker::Config::default() },
        }
    }
}

/// Endpoints that a call has been at; stands in its extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tried(pub(crate) Vec<Arc<str>>);

/// The endpoints of a service. Clones are the same pool; its connections end with the last one.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    _keeper: Arc<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    service: &'static str,
    config: PoolConfig,
    methods: Methods,
    metrics: ServiceMetrics,
    members: watch::Sender<Arc<[Member]>>,
    /// Counts what may make a call possible: an endpoint came, a line is up.
    news: watch::Sender<u64>,
    ejected: Arc<AtomicUsize>,
    /// Since when no endpoint could be reached.
    unusable_since: Mutex<Option<Instant>>,
    /// Of the list, for operators.
    endpoints: Option<Endpoints>,
}

/// An endpoint, and what discovery thinks of it.
#[derive(Debug, Clone)]
struct Member {
    listed: discovery::Endpoint,
    is_near: bool,
    endpoint: Arc<Endpoint>,
}

/// An endpoint for one attempt.
struct Picked {
    endpoint: Arc<Endpoint>,
    permit: Option<OwnedPermit>,
}

impl Pool {
    /// A pool that follows a list of endpoints. The breakers' settings must have been validated.
    ///
    /// # Errors
    /// When they were not.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn following(
        service: &'static str,
        endpoints: Endpoints,
        config: PoolConfig,
        methods: Methods,
        metrics: ServiceMetrics,
    ) -> Result<Self, breaker::Error> {
        config.breaker.validate()?;
        let shared = Arc::new(Shared::new(service, config, methods, metrics, Some(endpoints.clone())));
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(shared.clone(), endpoints));
        Ok(Pool { shared, _keeper: Arc::new(keeper) })
    }

    /// A pool of the one server in this process.
    pub(crate) fn in_process(
        service: &'static str,
        server: watch::Receiver<Option<crate::Guarded>>,
        methods: Methods,
        metrics: ServiceMetrics,
    ) -> Result<Self, breaker::Error> {
        // Whoever calls into its own process does not wait for what is not there, and a handler is not left because it is slow.
        let config = PoolConfig { failfast_ms: 0, attempt_timeout_ms: 0, ..PoolConfig::default() };
        let shared = Shared::new(service, config, methods, metrics, None);
        let listed = discovery::Endpoint::at(SocketAddr::from(([127, 0, 0, 1], 0)));
        let endpoint = shared.endpoint("in process".into(), Line::InProcess(server))?;
        shared.members.send_replace(Arc::new([Member { listed, is_near: true, endpoint: Arc::new(endpoint) }]));
        Ok(Pool { shared: Arc::new(shared), _keeper: Arc::default() })
    }

    /// Whether a call would find an endpoint.
    pub(crate) fn is_reached(&self) -> bool {
        self.shared.members.borrow().iter().any(|member| member.endpoint.line.is_up())
    }

    /// Wakes when endpoints or lines have come or gone.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.shared.news.subscribe()
    }

    pub(crate) fn views(&self) -> Vec<EndpointView> {
        let now = Instant::now();
        let view = |member: &Member| EndpointView {
            name: member.endpoint.name.clone(),
            standing: member.listed.standing,
            reached: if member.endpoint.line.is_up() { Reached::Up } else { Reached::Down },
            breaker: member.endpoint.breaker.snapshot(),
            in_flight: member.endpoint.load.in_flight(),
            takes: member.endpoint.load.estimate(now),
        };
        self.shared.members.borrow().iter().map(view).collect()
    }

    /// The breaker of an endpoint.
    pub(crate) fn breaker(&self, name: &str) -> Option<Breaker> {
        let members = self.shared.members.borrow();
        members.iter().find(|member| &*member.endpoint.name == name).map(|member| member.endpoint.breaker.clone())
    }

    /// How old the list is, and what is wrong with it.
    pub(crate) fn list(&self) -> (Duration, Option<String>) {
        self.shared.endpoints.as_ref().map_or((Duration::ZERO, None), |endpoints| {
            (endpoints.age(), endpoints.now().fault.as_ref().map(ToString::to_string))
        })
    }
}

impl Shared {
    fn new(
        service: &'static str,
        config: PoolConfig,
        methods: Methods,
        metrics: ServiceMetrics,
        endpoints: Option<Endpoints>,
    ) -> Self {
        Shared {
            service,
            config,
            methods,
            metrics,
            members: watch::Sender::new(Arc::new([])),
            news: watch::Sender::new(0),
            ejected: Arc::default(),
            unusable_since: Mutex::new(None),
            endpoints,
        }
    }

    fn endpoint(&self, name: Arc<str>, line: Line) -> Result<Endpoint, breaker::Error> {
        let breaker = Breaker::new(&self.config.breaker)?;
        let slow_after = match self.config.breaker.slow_ms {
            0 => Duration::MAX,
            ms => Duration::from_millis(ms),
        };
        Ok(Endpoint::new(name, line, breaker, slow_after, self.ejected.clone()))
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// Sends a request to an endpoint, and what was not sent to another one.
    async fn route(&self, mut request: Request<Body>) -> Result<Response<Body>, Fault> {
        let mut tried = request.extensions_mut().remove::<Tried>().unwrap_or_default();
        let terms = Terms::of(&request, &self.methods, &self.config);
        let mut left = self.members.borrow().len().max(1);
        loop {
            let Picked { endpoint, permit } = self.pick(&tried).await?;
            let name = endpoint.name.clone();
            match endpoint.attempt(request, permit, terms).await {
                Ok(response) => return Ok(response),
                Err((_, Some(unsent))) if left > 1 => {
                    left -= 1;
                    self.metrics.again(Again::Moved);
                    tried.0.push(name);
                    request = *unsent;
                }
                Err((fault, _)) => return Err(fault),
            }
        }
    }

    /// Picks an endpoint, or waits for one.
    async fn pick(&self, tried: &Tried) -> Result<Picked, Fault> {
        if let Some(picked) = self.try_to_pick(tried) {
            return Ok(picked);
        }
        let mut news = self.news.subscribe();
        loop {
            if let Some(picked) = self.try_to_pick(tried) {
                return Ok(picked);
            }
            let patience = self.patience();
            if patience.is_zero() || !matches!(timeout(patience, news.changed()).await, Ok(Ok(()))) {
                let members = self.members.borrow().clone();
                return Err(members.first().map_or(Fault::NoEndpoint, |member| member.endpoint.line.absence()));
            }
        }
    }

    /// How much longer calls wait for an endpoint.
    fn patience(&self) -> Duration {
        let mut since = self.unusable_since.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *since.get_or_insert_with(Instant::now);
        Duration::from_millis(self.config.failfast_ms).saturating_sub(since.elapsed())
    }

    fn try_to_pick(&self, tried: &Tried) -> Option<Picked> {
        let members = self.members.borrow().clone();
        let picked = self.choose(&members, tried);
        if picked.is_some() && members.len() > 0 {
            self.note_usable();
        }
        picked
    }

    fn note_usable(&self) {
        // The lock is free nearly always, and who finds it taken leaves the note to the next call.
        if let Ok(mut since) = self.unusable_since.try_lock() {
            *since = None;
        }
    }

    fn choose(&self, members: &[Member], tried: &Tried) -> Option<Picked> {
        let mut seen = [Seen { is_up: false, gate: Gate::Passes, is_doubted: false, is_near: false, is_tried: false };
            ENDPOINTS_MAX];
        let count = members.len().min(ENDPOINTS_MAX);
        let ejections_max = ejections_max(count, self.config.ejected_max_percent);
        for (seen, member) in seen.iter_mut().zip(members) {
            *seen = Seen {
                is_up: member.endpoint.line.is_up(),
                gate: gate(self.service, &member.endpoint, ejections_max),
                is_doubted: member.listed.standing == Standing::Unknown,
                is_near: member.is_near,
                is_tried: tried.0.contains(&member.endpoint.name),
            };
        }
        let (rule, choice) = eligible(&seen[..count], self.config.panic_percent);
        let place = self.better_of_two(members, choice.as_slice())?;
        let endpoint = members[place].endpoint.clone();
        if rule == Rule::Panic && count > 1 {
            self.metrics.again(Again::Panic);
        }
        // Who is picked although its breaker is open is called without asking it; if it is due for a probe, the call is one.
        let permit = endpoint.breaker.try_acquire_owned().ok();
        Some(Picked { endpoint, permit })
    }

    /// Two at random, and the less loaded of them: nearly as good as the least loaded of all, and not everybody's choice at once.
    fn better_of_two(&self, members: &[Member], places: &[u8]) -> Option<usize> {
        let place = |index: usize| usize::from(places[index]);
        match places.len() {
            0 => None,
            1 => Some(place(0)),
            len => {
                let first = fastrand::usize(..len);
                let second = (first + 1 + fastrand::usize(..len - 1)) % len;
                let (first, second, now) = (place(first), place(second), Instant::now());
                let is_first_better = members[first].score(now) <= members[second].score(now);
                Some(if is_first_better { first } else { second })
            }
        }
    }
}

impl Member {
    /// What a call costs here, for the weight that it has and while it warms up.
    fn score(&self, now: Instant) -> f64 {
        let weight = f64::from(self.listed.weight.max(1)) * f64::from(self.endpoint.breaker.weight().max(0.01));
        self.endpoint.load.score(now) / weight
    }
}

/// What the breaker of an endpoint means for the choice. One that is due for a probe is probed beside the calls.
fn gate(service: &str, endpoint: &Endpoint, ejections_max: usize) -> Gate {
    let state = endpoint.breaker.state();
    endpoint.told.tell(&endpoint.breaker, state, service, &endpoint.name);
    match state {
        State::Closed | State::ForcedClosed => {
            endpoint.is_well();
            Gate::Passes
        }
        State::ForcedOpen => Gate::LeftOut,
        State::Open | State::HalfOpen => {
            if endpoint.breaker.is_usable() {
                endpoint.suspected.notify_one();
            }
            if endpoint.is_ejected(ejections_max) { Gate::LeftOut } else { Gate::Passes }
        }
    }
}

impl Service<Request<Body>> for Pool {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Attempt;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Attempt {
        let shared = self.shared.clone();
        Box::pin(async move { shared.route(request).await })
    }
}

/// Follows the list: connects to what comes, drains what goes, and leaves what stays as it is.
async fn keep(shared: Arc<Shared>, mut endpoints: Endpoints) {
    let client = RandomState::new();
    let mut connections = JoinSet::new();
    // Cancelled one by one; all of them end with this task.
    let mut known: Vec<(Member, CancellationToken)> = Vec::new();
    loop {
        let listed = subset(&endpoints.now().endpoints, shared.config.subset_max, &client);
        let before: Vec<discovery::Endpoint> = known.iter().map(|(member, _)| member.listed.clone()).collect();
        for change in deltas(&before, &listed) {
            apply(&shared, &mut known, &mut connections, change);
        }
        shared.members.send_replace(known.iter().map(|(member, _)| member.clone()).collect());
        shared.tell();
        while connections.try_join_next().is_some() {}
        if endpoints.changed().await.is_err() {
            // The last list stays in use.
            std::future::pending::<()>().await;
        }
    }
}

fn apply(
    shared: &Arc<Shared>,
    known: &mut Vec<(Member, CancellationToken)>,
    connections: &mut JoinSet<()>,
    change: Change,
) {
    let same = |listed: &discovery::Endpoint, member: &Member| {
        member.listed.address == listed.address && member.listed.id == listed.id
    };
    match change {
        Change::Insert(listed) => {
            let (sender, line) = watch::channel(None);
            let name: Arc<str> = listed.address.to_string().into();
            let authority = name.parse().expect("an IP address with a port is an authority");
            let Ok(endpoint) = shared.endpoint(name, Line::Http2(line, authority)) else { return };
            let (endpoint, removed) = (Arc::new(endpoint), CancellationToken::new());
            info!(service = shared.service, peer = %listed.address, "endpoint found");
            connections.spawn(maintain(shared.clone(), endpoint.clone(), listed.address, sender, removed.clone()));
            let is_near = shared.config.zone.as_deref().is_some_and(|zone| listed.zone.as_deref() == Some(zone));
            known.push((Member { listed, is_near, endpoint }, removed));
        }
        Change::Update(listed) => {
            if let Some((member, _)) = known.iter_mut().find(|(member, _)| same(&listed, member)) {
                member.listed = listed;
            }
        }
        Change::Remove(listed) => {
            info!(service = shared.service, peer = %listed.address, "endpoint gone");
            known.retain(|(member, removed)| {
                let is_gone = same(&listed, member);
                if is_gone {
                    removed.cancel();
                }
                !is_gone
            });
        }
    }
}

/// The endpoints that this client uses: all, or of many its own choice, which changes as little as the list does ("rendezvous hashing").
fn subset(listed: &[discovery::Endpoint], max: usize, client: &RandomState) -> Vec<discovery::Endpoint> {
    let mut chosen = listed.to_vec();
    let max = max.clamp(1, ENDPOINTS_MAX);
    if chosen.len() > max {
        chosen.sort_by_key(|endpoint| (endpoint.standing, client.hash_one(endpoint.address)));
        chosen.truncate(max);
    }
    chosen
}

/// Keeps one endpoint connected, and probes it when its breaker is due, until it is removed; then its calls go on to their end.
async fn maintain(
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    address: SocketAddr,
    line: watch::Sender<Option<super::line::Sender>>,
    removed: CancellationToken,
) {
    let config = &shared.config;
    let (within, keepalive) =
        (Duration::from_millis(config.connect_timeout_ms), Duration::from_millis(config.keepalive_ms));
    let mut pause_ms = config.reconnect_ms;
    let mut was_up = true;
    loop {
        let dialled = tokio::select! {
            dialled = dial(address, within, keepalive) => dialled,
            () = removed.cancelled() => return,
        };
        match dialled {
            Ok((sender, driver)) => {
                debug!(service = shared.service, peer = %address, "endpoint connected");
                (pause_ms, was_up) = (config.reconnect_ms, true);
                line.send_replace(Some(sender));
                shared.tell();
                let mut driver = std::pin::pin!(driver);
                let is_removed = tokio::select! {
                    _ended = driver.as_mut() => false,
                    () = removed.cancelled() => true,
                    never = probe_when_due(&endpoint) => match never {},
                };
                line.send_replace(None);
                shared.tell();
                if is_removed {
                    // Without its sender the connection ends when its last call does.
                    drop(timeout(Duration::from_millis(config.drain_ms), driver).await);
                    return;
                }
            }
            Err(error) => {
                if std::mem::replace(&mut was_up, false) {
                    warn!(service = shared.service, peer = %address, error = &*error as &dyn std::error::Error, "endpoint cannot be reached");
                }
            }
        }
        let pause = pause_ms / 2 + fastrand::u64(..=pause_ms / 2);
        pause_ms = (pause_ms * 2).min(config.reconnect_max_ms.max(1));
        tokio::select! {
            () = sleep(Duration::from_millis(pause)) => {}
            () = removed.cancelled() => return,
        }
    }
}

/// Sends health checks while the breaker wants probes.
async fn probe_when_due(endpoint: &Endpoint) -> std::convert::Infallible {
    loop {
        endpoint.suspected.notified().await;
        while endpoint.breaker.state() != State::Closed && endpoint.breaker.is_usable() {
            let Ok(permit) = endpoint.breaker.try_acquire_owned() else { break };
            // A check that hangs loses its lease, and is given up with it.
            let outcome = timeout(PROBED_WITHIN, probe::check(&endpoint.line)).await;
            permit.record(outcome.unwrap_or(breaker::Outcome::Failure));
        }
    }
}

/// How long a health check may take.
const PROBED_WITHIN: Duration = Duration::from_secs(1);
