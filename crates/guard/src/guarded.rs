//! The layer, and a service behind it.

use crate::access::{Conditions, Lookup};
use crate::checked::{checked, is_not_found};
use crate::idempotency::{self, ACCEPT_ENCODING, KEY, Keyed, REPLAYED};
use crate::identity::{API_KEY, Caller, Identity, Recognised, is_api_key};
use crate::message::{self, Ready};
use crate::plan::{Plan, Plans};
use crate::rates::{Call, Quota, Rate};
use crate::refusal::{Reason, Refusal, hidden};
use crate::shared::Shared;
use crate::{Guard, Peer};
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, Response, Uri};
use pin_project_lite::pin_project;
use prost_reflect::DynamicMessage;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service, ServiceExt};

/// Puts a guard in front of services of one set of descriptors. Clones share it.
#[derive(Debug, Clone)]
pub struct GuardLayer {
    guard: Guard,
    plans: Arc<Plans>,
}

impl GuardLayer {
    pub(crate) fn new(guard: Guard, plans: Plans) -> Self {
        GuardLayer { guard, plans: Arc::new(plans) }
    }

    /// The methods, as `/package.Service/Method`, that have a rule which lets nobody through, since it names what the descriptors do not have.
    #[must_use]
    pub fn without_a_way_in(&self) -> Vec<&str> {
        self.plans.without_a_way_in()
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { layer: self.clone(), inner }
    }
}

/// A service with a guard in front of it.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    layer: GuardLayer,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shared = &self.layer.guard.0;
        strip_internal(request.headers_mut(), shared.defaults.prefix);
        let plan = self.layer.plans.of(shared, request.uri().path());
        let mut turn = Turn { shared: shared.clone(), plan, begun: Instant::now(), timeout: None, quota: None };
        match turn.begin(&mut request) {
            Ok(Stage::Admitted(Admission { own: None, .. })) if !turn.may_be_answered(request.headers()) => {
                Answer::Passed { call: self.inner.call(request), quota: turn.quota }
            }
            Ok(stage) => {
                let inner = self.inner.clone();
                // The one that was asked whether it is ready is the one that is called.
                let inner = std::mem::replace(&mut self.inner, inner);
                Answer::Waited { answer: Box::pin(turn.finish(stage, request, inner)) }
            }
            Err(refusal) => Answer::Refused { response: Some(turn.stop(refusal.into())) },
        }
    }
}

pin_project! {
    /// The answer of a guarded service. Most calls are let through or refused without waiting for anything, and need no room of their own.
    #[project = AnswerProjection]
    pub enum Answer<F> {
        /// Nothing is left to ask.
        Passed { #[pin] call: F, quota: Option<Quota> },
        /// Somebody else had to be asked first, or more than the head of the call.
        Waited { answer: BoxFuture<'static, Response<Body>> },
        /// The service does not learn of it.
        Refused { response: Option<Response<Body>> },
    }
}

impl<F> Future for Answer<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            AnswerProjection::Passed { call, quota } => {
                let Ok(response) = ready!(call.poll(context));
                Poll::Ready(Ok(told(response, quota.take())))
            }
            AnswerProjection::Waited { answer } => answer.as_mut().poll(context).map(Ok),
            AnswerProjection::Refused { response } => {
                Poll::Ready(Ok(response.take().expect("it is not asked again after its answer")))
            }
        }
    }
}

/// One call on its way through the guard.
struct Turn {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    begun: Instant,
    timeout: Option<Duration>,
    quota: Option<Quota>,
}

/// How far a call has come.
enum Stage {
    /// It shows a token that has to be verified.
    Unverified(String),
    /// It may be made.
    Admitted(Admission),
}

/// By what a call may be made.
#[derive(Default)]
struct Admission {
    identity: Option<Arc<Identity>>,
    own: Option<Arc<Conditions>>,
}

/// What must belong to whom.
type Whose = (Arc<Conditions>, Arc<Identity>);

/// Why a call is over before it was made.
enum Stopped {
    Refused(Refusal),
    /// It is answered with the status of another call.
    Answered(Box<Status>),
    /// What it is about belongs to somebody else.
    Hidden,
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Stopped::Refused(refusal)
    }
}

impl Turn {
    /// Goes as far as that takes no waiting.
    fn begin(&mut self, request: &mut Request<Body>) -> Result<Stage, Refusal> {
        let (shared, plan) = (&self.shared, &self.plan);
        self.timeout = plan.limits.apply(request.headers_mut())?;
        if plan.is_free() && !shared.authenticator.knows_anybody() {
            strip_keys(request.headers_mut());
            return Ok(Stage::Admitted(Admission::default()));
        }
        let peer = request.extensions().get::<Peer>();
        charge(shared, &plan.address_rates, &Call { method: &plan.path, peer, identity: None }, &mut self.quota)?;
        let identified = match shared.authenticator.recognise(request.headers(), peer, now()) {
            Ok(Recognised::ByToken(token)) => return Ok(Stage::Unverified(token)),
            Ok(Recognised::As(identity)) => Ok(identity),
            Err(refusal) => Err(refusal),
        };
        self.admit(request, identified).map(Stage::Admitted)
    }

    /// Lets a caller go on, or not, by who he is.
    fn admit(
        &mut self,
        request: &mut Request<Body>,
        identified: Result<Option<Arc<Identity>>, Refusal>,
    ) -> Result<Admission, Refusal> {
        let plan = &self.plan;
        // Whoever guesses is charged as well.
        let known = identified.as_ref().ok().and_then(Option::as_deref);
        let call = Call { method: &plan.path, peer: request.extensions().get(), identity: known };
        charge(&self.shared, &plan.rates, &call, &mut self.quota)?;
        let identity = identified?;
        let caller = identity.as_ref().zip(request.extensions().get::<Caller>());
        caller.into_iter().for_each(|(identity, caller)| caller.is(identity));
        let condition = plan.admit(identity.as_deref())?;
        strip_keys(request.headers_mut());
        if let Some(identity) = &identity {
            request.headers_mut().extend(identity.metadata.iter().cloned());
            request.extensions_mut().insert(Arc::clone(identity));
        }
        let own = condition.and_then(|condition| condition.own.clone());
        if own.as_ref().is_some_and(|own| identity.is_none() || own.are_impossible()) {
            return Err(Refusal::new(Reason::Forbidden, "you may not call this method"));
        }
        Ok(Admission { identity, own })
    }

    /// Whether a call may be answered with what another one was answered with.
    fn may_be_answered(&self, headers: &HeaderMap) -> bool {
        self.plan.keeps_answers && headers.contains_key(KEY)
    }

    async fn finish<S>(mut self, stage: Stage, request: Request<Body>, inner: S) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        match self.go(stage, request, inner).await {
            Ok(response) => told(response, self.quota.take()),
            Err(stopped) => self.stop(stopped),
        }
    }

    /// What a caller gets whose call is not made.
    fn stop(&mut self, stopped: Stopped) -> Response<Body> {
        let (metrics, label) = (&self.shared.metrics, self.plan.label());
        let response = match stopped {
            Stopped::Refused(refusal) => {
                metrics.refused(refusal.reason, label);
                refusal.into_status(self.shared.defaults.error_domain).into_http()
            }
            Stopped::Answered(status) => (*status).into_http(),
            Stopped::Hidden => {
                metrics.refused(Reason::NotOwn, label);
                hidden().into_http()
            }
        };
        told(response, self.quota.take())
    }

    async fn go<S>(&mut self, stage: Stage, mut request: Request<Body>, inner: S) -> Result<Response<Body>, Stopped>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let Admission { identity, own } = match stage {
            Stage::Unverified(token) => {
                let identified = self.shared.authenticator.tokens.verify(&token, now()).await.map(Some);
                self.admit(&mut request, identified)?
            }
            Stage::Admitted(admission) => admission,
        };
        let own = own.zip(identity.clone());
        if let Some((own, identity)) = &own {
            request = self.check_request(request, own, identity, inner.clone()).await?;
            self.shorten(&mut request);
        }
        self.make(request, identity.as_deref(), (own, inner)).await
    }

    /// Looks whether a request is about what belongs to the caller.
    async fn check_request<S>(
        &self,
        mut request: Request<Body>,
        own: &Conditions,
        identity: &Identity,
        inner: S,
    ) -> Result<Request<Body>, Stopped>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send,
        S::Future: Send,
    {
        if own.are_about_answers() {
            // What is compressed cannot be looked at.
            request.headers_mut().remove(ACCEPT_ENCODING);
        }
        if !own.are_about_requests() {
            return Ok(request);
        }
        let config = &self.shared.config;
        let within = Duration::from_millis(config.request_timeout_ms);
        let (parts, body) = request.into_parts();
        let bytes = message::request(body, config.request_bytes_max, within).await?;
        let refuse = |message: &str| Refusal::new(Reason::MessageUnreadable, message);
        let message = own.request(&bytes).ok_or_else(|| refuse("the message is not one of its type"))?;
        if !own.allow_request(identity, &message) {
            return Err(Refusal::new(Reason::NotOwn, "the request is about what belongs to somebody else").into());
        }
        for lookup in &own.lookups {
            self.look_up(lookup, &parts, (&message, identity), inner.clone()).await?;
        }
        Ok(Request::from_parts(parts, Ready::of(&bytes)))
    }

    /// Asks the service whose something is.
    async fn look_up<S>(
        &self,
        lookup: &Lookup,
        request: &Parts,
        (message, identity): (&DynamicMessage, &Identity),
        inner: S,
    ) -> Result<(), Stopped>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
        S::Future: Send,
    {
        let mut question = Request::new(Ready::of(&lookup.question(message)));
        *question.method_mut() = request.method.clone();
        *question.version_mut() = request.version;
        *question.uri_mut() = at(&request.uri, &lookup.path);
        *question.headers_mut() = request.headers.clone();
        // Of the caller's own call only.
        for name in [KEY, CONTENT_LENGTH, ACCEPT_ENCODING, HeaderName::from_static("prefer")] {
            question.headers_mut().remove(name);
        }
        let response = match inner.oneshot(question).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        };
        let (parts, body) = response.into_parts();
        ended_well(&parts.headers)?;
        let unreadable = || Stopped::Answered(Status::internal("the service's answer cannot be read").into());
        let answer = message::whole(body, self.shared.config.answer_bytes_max).await.map_err(|_| unreadable())?;
        answer.trailers.as_ref().map_or(Ok(()), ended_well)?;
        let answer = answer.message.ok_or_else(unreadable)?;
        if lookup.allow(identity, &answer) { Ok(()) } else { Err(Stopped::Hidden) }
    }

    /// Takes the time that was spent so far from what the call may take.
    fn shorten(&self, request: &mut Request<Body>) {
        if let Some(timeout) = self.timeout {
            let left = timeout.saturating_sub(self.begun.elapsed());
            request.headers_mut().insert(rpc::timeout::HEADER, rpc::timeout::encode(left));
        }
    }

    /// Makes the call, or gives the answer that it had before.
    async fn make<S>(
        &self,
        request: Request<Body>,
        identity: Option<&Identity>,
        (own, inner): (Option<Whose>, S),
    ) -> Result<Response<Body>, Stopped>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let config = &self.shared.config;
        let answer_bytes_max = config.answer_bytes_max;
        let make = move |request| called(inner, request, own, answer_bytes_max);
        let keeper = self.shared.keeper.as_ref().filter(|_| self.plan.keeps_answers);
        let key = match keeper {
            Some(_) => idempotency::key(request.headers())?,
            None => None,
        };
        let (Some(keeper), Some(key)) = (keeper, key) else { return Ok(make(request).await) };
        let keyed = Keyed {
            method: &self.plan.path,
            identity,
            key,
            timeout: self.timeout.unwrap_or_else(|| Duration::from_millis(config.timeout_max_ms)),
            bytes_max: config.request_bytes_max,
            answer_bytes_max,
            arrives_within: Duration::from_millis(config.request_timeout_ms),
        };
        let response = keeper.call(keyed, request, make).await?;
        if response.headers().contains_key(REPLAYED) {
            self.shared.metrics.replayed(self.plan.label());
        }
        Ok(response)
    }
}

/// Charges a call to each of these rates, and keeps what is left of the tightest.
fn charge(shared: &Shared, rates: &[Arc<Rate>], call: &Call<'_>, quota: &mut Option<Quota>) -> Result<(), Refusal> {
    if rates.is_empty() {
        return Ok(());
    }
    let now_ns = shared.elapsed_ns();
    for rate in rates {
        let left = rate.charge(call, now_ns).inspect_err(|_| *quota = None)?;
        *quota = Some(match quota.take() {
            Some(other) => other.tighter(left),
            None => left,
        });
    }
    Ok(())
}

/// Tells a caller what he has left.
fn told(mut response: Response<Body>, quota: Option<Quota>) -> Response<Body> {
    if let Some(quota) = quota {
        response.headers_mut().extend(quota.headers());
    }
    response
}

/// In seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// Makes a call, of whose answer the caller sees what belongs to him.
async fn called<S>(inner: S, request: Request<Body>, own: Option<Whose>, bytes_max: usize) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let response = match inner.oneshot(request).await {
        Ok(response) => response,
        Err(impossible) => match impossible {},
    };
    match own {
        Some((own, identity)) if own.are_about_answers() => checked(response, own, identity, bytes_max),
        Some(_) | None => response,
    }
}

/// The status of another call, if it is not OK; something that does not exist is told as what belongs to somebody else.
fn ended_well(headers: &HeaderMap) -> Result<(), Stopped> {
    if is_not_found(headers) {
        return Err(Stopped::Hidden);
    }
    match Status::from_header_map(headers) {
        Some(status) if status.code() != tonic::Code::Ok => Err(Stopped::Answered(status.into())),
        Some(_) | None => Ok(()),
    }
}

/// The same place with another path.
fn at(uri: &Uri, path: &str) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path.parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| Uri::from_static("/"))
}

/// Removes what only the guard may say.
fn strip_internal(headers: &mut HeaderMap, prefix: &str) {
    let is_internal = |name: &HeaderName| name.as_str().starts_with(prefix);
    if headers.keys().any(is_internal) {
        let names: Vec<HeaderName> = headers.keys().filter(|name| is_internal(name)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
}

/// Removes API keys, which are meant for the guard. Tokens go on to services that want to see them as well.
fn strip_keys(headers: &mut HeaderMap) {
    headers.remove(API_KEY);
    if headers.get(AUTHORIZATION).is_some_and(is_api_key) {
        headers.remove(AUTHORIZATION);
    }
}
