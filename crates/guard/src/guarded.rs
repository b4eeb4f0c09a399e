//! The layer, and a service behind it.

use crate::access::{Condition, Conditions, Lookup};
use crate::checked::{checked, is_not_found};
use crate::idempotency::{self, ACCEPT_ENCODING, KEY, Keyed, REPLAYED};
use crate::identity::{API_KEY, Identity, is_api_key};
use crate::message::{self, Ready};
use crate::plan::{Plan, Plans};
use crate::rates::{Call, Quota, Rate};
use crate::refusal::{Reason, Refusal, hidden};
use crate::shared::Shared;
use crate::{Guard, Peer};
use futures_util::future::{BoxFuture, Either};
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, Response, Uri};
use prost_reflect::DynamicMessage;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
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
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shared = &self.layer.guard.0;
        strip_internal(request.headers_mut(), shared.defaults.prefix);
        let plan = self.layer.plans.of(shared, request.uri().path());
        let timeout = plan.limits.apply(request.headers_mut());
        let is_free = plan.is_free()
            && !shared.authenticator.knows_anybody()
            && !(plan.keeps_answers && request.headers().contains_key(KEY));
        if is_free && timeout.is_ok() {
            strip_keys(request.headers_mut());
            return Either::Left(self.inner.call(request));
        }
        let inner = self.inner.clone();
        // The one that was asked whether it is ready is the one that is called.
        let inner = std::mem::replace(&mut self.inner, inner);
        let turn = Turn { shared: shared.clone(), plan, begun: Instant::now() };
        Either::Right(Box::pin(async move {
            Ok(match timeout {
                Ok(timeout) => turn.answer(request, timeout, inner).await,
                Err(refusal) => turn.refuse(refusal),
            })
        }))
    }
}

/// One call on its way through the guard.
struct Turn {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    begun: Instant,
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
    async fn answer<S>(self, request: Request<Body>, timeout: Option<Duration>, inner: S) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let mut quota = None;
        let mut response = match self.go(request, timeout, inner, &mut quota).await {
            Ok(response) => response,
            Err(Stopped::Refused(refusal)) => self.refuse(refusal),
            Err(Stopped::Answered(status)) => (*status).into_http(),
            Err(Stopped::Hidden) => {
                self.shared.metrics.refused(Reason::NotOwn, self.plan.label());
                hidden().into_http()
            }
        };
        if let Some(quota) = quota {
            response.headers_mut().extend(quota.headers());
        }
        response
    }

    /// What a refused caller gets.
    fn refuse(&self, refusal: Refusal) -> Response<Body> {
        self.shared.metrics.refused(refusal.reason, self.plan.label());
        refusal.into_status(self.shared.defaults.error_domain).into_http()
    }

    async fn go<S>(
        &self,
        mut request: Request<Body>,
        timeout: Option<Duration>,
        inner: S,
        quota: &mut Option<Quota>,
    ) -> Result<Response<Body>, Stopped>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let (shared, plan) = (&self.shared, &self.plan);
        let peer = request.extensions().get::<Peer>().cloned();
        self.charge(&plan.address_rates, peer.as_ref(), None, quota)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let identified = shared.authenticator.identify(request.headers(), peer.as_ref(), now).await;
        // Whoever guesses is charged as well.
        let known = identified.as_ref().ok().and_then(Option::as_deref);
        self.charge(&plan.rates, peer.as_ref(), known, quota)?;
        let identity = identified?;
        let condition = plan.admit(identity.as_deref())?;
        strip_keys(request.headers_mut());
        if let Some(identity) = &identity {
            request.headers_mut().extend(identity.metadata.iter().cloned());
            request.extensions_mut().insert(Arc::clone(identity));
        }
        let own = self.own(condition, identity.as_ref())?;
        if let Some((own, identity)) = &own {
            request = self.check_request(request, own, identity, inner.clone()).await?;
            self.shorten(&mut request, timeout);
        }
        self.make(request, timeout, identity.as_deref(), (own, inner)).await
    }

    /// What must belong to whom.
    fn own(&self, condition: Option<&Condition>, identity: Option<&Arc<Identity>>) -> Result<Option<Whose>, Refusal> {
        let Some(own) = condition.and_then(|condition| condition.own.as_ref()) else { return Ok(None) };
        match identity {
            Some(identity) if !own.are_impossible() => Ok(Some((own.clone(), identity.clone()))),
            Some(_) | None => Err(Refusal::new(Reason::Forbidden, "you may not call this method")),
        }
    }

    fn charge(
        &self,
        rates: &[Arc<Rate>],
        peer: Option<&Peer>,
        identity: Option<&Identity>,
        quota: &mut Option<Quota>,
    ) -> Result<(), Refusal> {
        if rates.is_empty() {
            return Ok(());
        }
        let (call, now_ns) = (Call { method: &self.plan.path, peer, identity }, self.shared.elapsed_ns());
        for rate in rates {
            let left = rate.charge(&call, now_ns).inspect_err(|_| *quota = None)?;
            *quota = Some(match quota.take() {
                Some(other) => other.tighter(left),
                None => left,
            });
        }
        Ok(())
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
    fn shorten(&self, request: &mut Request<Body>, timeout: Option<Duration>) {
        if let Some(timeout) = timeout {
            let left = timeout.saturating_sub(self.begun.elapsed());
            request.headers_mut().insert(rpc::timeout::HEADER, rpc::timeout::encode(left));
        }
    }

    /// Makes the call, or gives the answer that it had before.
    async fn make<S>(
        &self,
        request: Request<Body>,
        timeout: Option<Duration>,
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
            timeout: timeout.unwrap_or_else(|| Duration::from_millis(config.timeout_max_ms)),
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
