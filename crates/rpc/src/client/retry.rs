//! Another attempt, where that can do no harm and the service is not made to carry the load of all that fails.
//!
//! What was certainly not begun may be done elsewhere, whatever it is; what may have taken effect is repeated only if its method says that
//! it may. Repeats come out of a budget that the calls pay into, so that a service in trouble is not sent a multiple of its load; a server
//! that names the time of the next attempt (`grpc-retry-pushback-ms`), or forbids it, is obeyed. See gRFC A6.

use super::fault::code_of;
use super::metrics::{Again, ServiceMetrics};
use super::pool::Tried;
use super::replay::{Replay, Whole};
use super::{Attempt, Fault, Methods};
use futures_util::future::{Either, select};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use serde::{Deserialize, Serialize};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::sleep;
use tonic::Code;
use tonic::body::Body;
use tower::Service;
use tower::retry::budget::{Budget, TpsBudget};

/// Says when to come again, or not to (a negative number).
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// The budget forgets after this time.
const BUDGET_PERIOD: Duration = Duration::from_secs(10);
/// A server's wish for a pause is granted up to here; longer ones end the attempts.
const PUSHBACK_MAX: Duration = Duration::from_secs(5);

/// How failed attempts are repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Attempts of a call at most, the first included. 3: one more endpoint than may be ejected of three.
    pub attempts_max: u32,
    /// Repeats per call, in percent, that the budget grows by. 20, as in Finagle: a service that fails altogether gets a fifth more.
    pub budget_percent: u32,
    /// Repeats per second that are always allowed, so that a client with few calls can repeat one. 10.
    pub budget_min_per_second: u32,
    /// The pause before the second attempt, doubled for each further one, less up to a half at random; in milliseconds. 10: another endpoint
    /// is asked, so the pause need only keep many clients apart.
    pub pause_ms: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig { attempts_max: 3, budget_percent: 20, budget_min_per_second: 10, pause_ms: 10 }
    }
}

/// A client that makes another attempt.
#[derive(Debug, Clone)]
pub struct Retry<S> {
    inner: S,
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    config: RetryConfig,
    methods: Methods,
    budget: TpsBudget,
    metrics: ServiceMetrics,
}

impl<S> Retry<S> {
    /// Makes other attempts of what may be repeated.
    pub fn new(inner: S, config: RetryConfig, methods: Methods, metrics: ServiceMetrics) -> Self {
        let percent = f32::from(u16::try_from(config.budget_percent).unwrap_or(u16::MAX)) / 100.0;
        // The bounds are what the budget takes.
        let budget = TpsBudget::new(BUDGET_PERIOD, config.budget_min_per_second, percent.clamp(0.0, 1_000.0));
        Retry { inner, rules: Arc::new(Rules { config, methods, budget, metrics }) }
    }
}

impl<S> Service<Request<Body>> for Retry<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Attempt;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Attempt {
        let (parts, body) = request.into_parts();
        match Replay::take(body) {
            Replay::Stream(body) => Box::pin(self.inner.call(Request::from_parts(parts, body))),
            Replay::Whole(whole) => {
                let mut call = Call { inner: self.inner.clone(), rules: self.rules.clone(), parts, whole };
                Box::pin(async move { call.run().await })
            }
        }
    }
}

/// One call and its attempts.
struct Call<S> {
    inner: S,
    rules: Arc<Rules>,
    parts: Parts,
    whole: Whole,
}

impl<S> Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    async fn run(&mut self) -> Result<Response<Body>, Fault> {
        let may_repeat = self.rules.methods.may_repeat(self.parts.uri.path(), &self.parts.headers);
        self.rules.budget.deposit();
        let mut number = 1;
        loop {
            let answer = self.attempt_or_two().await;
            let pause = match pause_before_next(&answer, may_repeat) {
                Next::Never => return answer,
                Next::After(pause) => pause,
                Next::Soon => jittered(self.rules.config.pause_ms << (number - 1).min(10)),
            };
            if number >= self.rules.config.attempts_max || !self.rules.budget.withdraw() {
                return answer;
            }
            number += 1;
            self.rules.metrics.again(Again::Retry);
            self.avoid(&answer);
            sleep(pause).await;
        }
    }

    /// One attempt, and another beside it when that one is slow and the method allows it. The first answer that is no failure wins; the other
    /// attempt is dropped, and counts neither for nor against its endpoint.
    async fn attempt_or_two(&mut self) -> Result<Response<Body>, Fault> {
        let Some(after) = self.rules.methods.hedge_after(self.parts.uri.path()) else { return self.attempt().await };
        let mut first = pin!(self.attempt());
        if let Either::Left((answer, _)) = select(first.as_mut(), pin!(sleep(after))).await {
            return answer;
        }
        if !self.rules.budget.withdraw() {
            return first.await;
        }
        self.rules.metrics.again(Again::Hedge);
        let second = pin!(self.attempt());
        match select(first, second).await {
            Either::Left((answer, other)) if is_failure(&answer) => other.await,
            Either::Right((answer, other)) if is_failure(&answer) => other.await,
            Either::Left((answer, _)) | Either::Right((answer, _)) => answer,
        }
    }

    fn attempt(&mut self) -> S::Future {
        self.inner.call(Request::from_parts(self.parts.clone(), self.whole.body()))
    }

    /// Keeps the next attempt from the endpoint of this one.
    fn avoid(&mut self, answer: &Result<Response<Body>, Fault>) {
        let peer = match answer {
            Ok(response) => response.extensions().get::<super::endpoint::Peer>().map(|peer| peer.0.clone()),
            Err(fault) => fault.peer().cloned(),
        };
        if let Some(peer) = peer {
            self.parts.extensions.get_or_insert_default::<Tried>().0.push(peer);
        }
    }
}

/// Whether there may be another attempt.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Never,
    Soon,
    After(Duration),
}

fn pause_before_next(answer: &Result<Response<Body>, Fault>, may_repeat: bool) -> Next {
    match answer {
        // The pool has asked every endpoint already, and the others here would only do the same again.
        Err(Fault::NoEndpoint | Fault::NotRunning | Fault::BreakerOpen { .. } | Fault::Shed { .. }) => Next::Never,
        Err(Fault::Deadline | Fault::Malformed(_)) => Next::Never,
        Err(Fault::NotSent { .. }) => Next::Soon,
        Err(Fault::Broken { .. } | Fault::Late { .. }) if may_repeat => Next::Soon,
        Err(Fault::Broken { .. } | Fault::Late { .. }) => Next::Never,
        Ok(response) if may_repeat && is_given_up(response.headers()) => pushback(response.headers()),
        Ok(_) => Next::Never,
    }
}

/// Whether a server has given a call up that its caller has not: a caller that has is not here any more. gRPC's servers in C++ and Python say
/// CANCELLED to calls that have come and were not begun when they are stopped.
fn is_given_up(headers: &HeaderMap) -> bool {
    matches!(code_of(headers), Some(Code::Unavailable | Code::Cancelled))
}

fn pushback(headers: &HeaderMap) -> Next {
    let Some(value) = headers.get(PUSHBACK) else { return Next::Soon };
    match value.to_str().ok().and_then(|text| text.parse().ok()).map(Duration::from_millis) {
        Some(pause) if pause <= PUSHBACK_MAX => Next::After(pause),
        Some(_) | None => Next::Never,
    }
}

fn is_failure(answer: &Result<Response<Body>, Fault>) -> bool {
    match answer {
        Ok(response) => is_given_up(response.headers()),
        Err(_) => true,
    }
}

/// Half of a pause, and a random part of the other half.
fn jittered(ms: u64) -> Duration {
    Duration::from_millis(ms / 2 + fastrand::u64(..=ms / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Status;

    fn unavailable(pushback: Option<&'static str>) -> Result<Response<Body>, Fault> {
        let mut response = Status::unavailable("").into_http();
        if let Some(value) = pushback {
            response.headers_mut().insert(PUSHBACK, http::HeaderValue::from_static(value));
        }
        Ok(response)
    }

    #[test]
    fn what_may_have_taken_effect_is_repeated_only_where_that_is_allowed() {
        let broken = || Err(Fault::Broken { peer: "a".into(), source: Arc::new(std::fmt::Error) });
        let unsent = || Err(Fault::NotSent { peer: "a".into(), source: Arc::new(std::fmt::Error) });

        assert_eq!(pause_before_next(&broken(), false), Next::Never);
        assert_eq!(pause_before_next(&broken(), true), Next::Soon);
        assert_eq!(pause_before_next(&unavailable(None), false), Next::Never);
        assert_eq!(pause_before_next(&unavailable(None), true), Next::Soon);
        assert_eq!(pause_before_next(&unsent(), false), Next::Soon);
        let cancelled = || Ok(Status::cancelled("").into_http());
        assert_eq!(pause_before_next(&cancelled(), true), Next::Soon);
        assert_eq!(pause_before_next(&cancelled(), false), Next::Never);
    }

    #[test]
    fn a_server_that_names_the_next_attempt_or_forbids_it_is_obeyed() {
        let next = |value| pause_before_next(&unavailable(Some(value)), true);

        assert_eq!(next("250"), Next::After(Duration::from_millis(250)));
        assert_eq!(next("-1"), Next::Never);
        assert_eq!(next("3600000"), Next::Never);
        assert_eq!(next("soon"), Next::Never);
    }

    #[test]
    fn an_answer_that_is_an_answer_is_not_asked_for_again() {
        for status in [Status::ok(""), Status::not_found(""), Status::internal(""), Status::resource_exhausted("")] {
            assert_eq!(pause_before_next(&Ok(status.into_http()), true), Next::Never);
        }
    }
}
