//! The endpoints of a service: kept as discovery lists them, connected to, probed, and picked from.
//!
//! A call is picked for in its caller's task, from a list that is replaced as a whole. There is no worker that all calls pass through, as in
//! `tower::Buffer`, and nothing that hides a service without endpoints behind "not ready" for ever.

use super::endpoint::{Endpoint, Terms};
use super::keep::keep;
use super::line::Line;
use super::metrics::{Again, ServiceMetrics};
use super::pick::{ENDPOINTS_MAX, Gate, Rule, Seen, ejections_max, eligible};
use super::view::{EndpointView, Reached};
use super::{Attempt, Fault, Interview, Methods, PoolConfig, Wanted};
use arc_swap::{ArcSwap, ArcSwapOption};
use breaker::{Breaker, OwnedPermit, State};
use discovery::{Endpoints, Standing};
use http::{Request, Response};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::body::Body;
use tower::Service;

/// Endpoints that a call has been at; stands in its extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tried(pub(crate) Vec<Arc<str>>);

/// The endpoints of a service. Clones are the same pool; its connections end with the last one.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Kept>);

/// What there is once, whatever the number of clones.
#[derive(Debug)]
struct Kept {
    shared: Arc<Shared>,
    _keeper: JoinSet<()>,
}

/// What callers and the keeper share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: Arc<str>,
    pub(super) config: PoolConfig,
    methods: Methods,
    metrics: ServiceMetrics,
    pub(super) members: ArcSwap<Vec<Member>>,
    /// Counts what may make a call possible: an endpoint came, a line is up.
    news: watch::Sender<u64>,
    ejected: Arc<AtomicUsize>,
    /// Since when no endpoint could be reached.
    unusable_since: ArcSwapOption<Instant>,
    /// Of the list, for operators.
    endpoints: Option<Endpoints>,
    /// By whom endpoints are asked before they are called.
    pub(super) interview: Option<Arc<dyn Interview>>,
}

/// What a call needs of the endpoint that it goes to.
struct Need {
    tried: Tried,
    wanted: Option<Wanted>,
}

/// An endpoint, and what discovery thinks of it.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) listed: discovery::Endpoint,
    pub(super) is_near: bool,
    pub(super) endpoint: Arc<Endpoint>,
}

/// An endpoint for one attempt.
struct Picked {
    endpoint: Arc<Endpoint>,
    permit: Option<OwnedPermit>,
}

impl Pool {
    /// A pool that follows a list of endpoints, and asks them before it calls them, where that is wanted.
    ///
    /// # Errors
    /// When a setting of a breaker is out of its range.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn following(
        service: Arc<str>,
        (endpoints, interview): (Endpoints, Option<Arc<dyn Interview>>),
        config: PoolConfig,
        methods: Methods,
        metrics: ServiceMetrics,
    ) -> Result<Self, breaker::Error> {
        config.breaker.validate()?;
        let shared = Shared::new(service, config, methods, metrics);
        let shared = Arc::new(Shared { endpoints: Some(endpoints.clone()), interview, ..shared });
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(shared.clone(), endpoints));
        Ok(Pool(Arc::new(Kept { shared, _keeper: keeper })))
    }

    /// A pool of the one server in this process.
    pub(crate) fn in_process(
        service: Arc<str>,
        server: watch::Receiver<Option<crate::Guarded>>,
        methods: Methods,
        metrics: ServiceMetrics,
    ) -> Result<Self, breaker::Error> {
        // Whoever calls into its own process does not wait for what is not there, and a handler is not left because it is slow.
        let config = PoolConfig { failfast_ms: 0, attempt_timeout_ms: 0, ..PoolConfig::default() };
        let shared = Shared::new(service, config, methods, metrics);
        let listed = discovery::Endpoint::at(SocketAddr::from(([127, 0, 0, 1], 0)));
        let endpoint = shared.endpoint("in process".into(), Line::InProcess(server))?;
        shared.members.store(Arc::new(vec![Member { listed, is_near: true, endpoint: Arc::new(endpoint) }]));
        Ok(Pool(Arc::new(Kept { shared: Arc::new(shared), _keeper: JoinSet::new() })))
    }

    /// Whether a call would find an endpoint.
    pub(crate) fn is_reached(&self) -> bool {
        self.0.shared.members.load().iter().any(|member| member.endpoint.line.is_up())
    }

    /// Wakes when endpoints or lines have come or gone.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.0.shared.news.subscribe()
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
        self.0.shared.members.load().iter().map(view).collect()
    }

    /// The breaker of an endpoint.
    pub(crate) fn breaker(&self, name: &str) -> Option<Breaker> {
        let members = self.0.shared.members.load();
        members.iter().find(|member| &*member.endpoint.name == name).map(|member| member.endpoint.breaker.clone())
    }

    /// How old the list is if there is one, and what is wrong with it.
    pub(crate) fn list(&self) -> (Option<Duration>, Option<String>) {
        self.0.shared.endpoints.as_ref().map_or((None, None), |endpoints| {
            (Some(endpoints.age()), endpoints.now().fault.as_ref().map(ToString::to_string))
        })
    }
}

impl Shared {
    fn new(service: Arc<str>, config: PoolConfig, methods: Methods, metrics: ServiceMetrics) -> Self {
        Shared {
            service,
            config,
            methods,
            metrics,
            members: ArcSwap::default(),
            news: watch::Sender::new(0),
            ejected: Arc::default(),
            unusable_since: ArcSwapOption::empty(),
            endpoints: None,
            interview: None,
        }
    }

    pub(super) fn endpoint(&self, name: Arc<str>, line: Line) -> Result<Endpoint, breaker::Error> {
        let breaker = Breaker::new(&self.config.breaker)?;
        let slow_after = match self.config.breaker.slow_ms {
            0 => Duration::MAX,
            ms => Duration::from_millis(ms),
        };
        Ok(Endpoint::new(name, line, breaker, slow_after, self.ejected.clone()))
    }

    /// Wakes whoever waits for an endpoint.
    pub(super) fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// Sends a request to an endpoint, and what was not sent to another one.
    async fn route(&self, mut request: Box<Request<Body>>) -> Result<Response<Body>, Fault> {
        let tried = request.extensions_mut().remove::<Tried>().unwrap_or_default();
        let mut need = Need { tried, wanted: request.extensions().get().copied() };
        let terms = Terms::of(&request, &self.methods, &self.config);
        let mut left = self.members.load().len().max(1);
        loop {
            // Few calls wait, and those in a room of their own.
            let Picked { endpoint, permit } = match self.try_to_pick(&need) {
                Some(picked) => picked,
                None => Box::pin(self.wait_to_pick(&need)).await?,
            };
            let name = endpoint.name.clone();
            match endpoint.attempt(request, permit, terms).await {
                Ok(response) => return Ok(response),
                Err((_, Some(unsent))) if left > 1 => {
                    left -= 1;
                    self.metrics.again(Again::Moved);
                    need.tried.0.push(name);
                    request = unsent;
                }
                Err((fault, _)) => return Err(fault),
            }
        }
    }

    /// Picks an endpoint when there is one.
    async fn wait_to_pick(&self, need: &Need) -> Result<Picked, Fault> {
        let mut news = self.news.subscribe();
        loop {
            if let Some(picked) = self.try_to_pick(need) {
                return Ok(picked);
            }
            let patience = self.patience();
            if patience.is_zero() || !matches!(timeout(patience, news.changed()).await, Ok(Ok(()))) {
                let members = self.members.load();
                return Err(members.first().map_or(Fault::NoEndpoint, |member| member.endpoint.line.absence()));
            }
        }
    }

    /// How much longer calls wait for an endpoint.
    fn patience(&self) -> Duration {
        let since = self.unusable_since.load().as_deref().copied().unwrap_or_else(|| {
            let now = Instant::now();
            self.unusable_since.store(Some(Arc::new(now)));
            now
        });
        Duration::from_millis(self.config.failfast_ms).saturating_sub(since.elapsed())
    }

    fn try_to_pick(&self, need: &Need) -> Option<Picked> {
        let members = self.members.load();
        let picked = self.choose(&self.admitted(&members, need.wanted), &need.tried)?;
        // Looked at first, since nearly always there is nothing to forget.
        if self.unusable_since.load().is_some() {
            self.unusable_since.store(None);
        }
        Some(picked)
    }

    /// The members that have what a call wants.
    fn admitted<'m>(&self, members: &'m [Member], wanted: Option<Wanted>) -> Cow<'m, [Member]> {
        let (Some(interview), Some(wanted)) = (&self.interview, wanted) else { return Cow::Borrowed(members) };
        let has_it = |member: &&Member| interview.admits(member.endpoint.offer(), wanted);
        if members.iter().all(|member| has_it(&member)) {
            return Cow::Borrowed(members);
        }
        members.iter().filter(has_it).cloned().collect()
    }

    fn choose(&self, members: &[Member], tried: &Tried) -> Option<Picked> {
        let mut seen = [Seen { is_up: false, gate: Gate::Passes, is_doubted: false, is_near: false, is_tried: false };
            ENDPOINTS_MAX];
        let count = members.len().min(ENDPOINTS_MAX);
        let ejections_max = ejections_max(count, self.config.ejected_max_percent);
        for (seen, member) in seen.iter_mut().zip(members) {
            *seen = Seen {
                is_up: member.endpoint.line.is_up(),
                gate: gate(&self.service, &member.endpoint, ejections_max),
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
        // In a box, as it is moved through the futures of all that wait for it.
        let (shared, request) = (self.0.shared.clone(), Box::new(request));
        Box::pin(async move { shared.route(request).await })
    }
}
