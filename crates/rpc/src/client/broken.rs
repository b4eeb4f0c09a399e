//! The breaker of a service as a whole.
//!
//! It stands around all attempts, so it counts what callers would have seen. What was never sent says nothing about the service, and a pool
//! without endpoints fails fast by itself and is used again as soon as there is one; so neither opens this breaker.

use super::Fault;
use super::endpoint::CHANCE_MIN;
use super::fault::code_of;
use super::told::Told;
use breaker::{
    Begins, Breaker, BreakerLayer, BreakerService, Classify, Outcome, Rejected, ResponseFuture, Verdict, grpc,
};
use http::{HeaderMap, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};

/// A client with a breaker around it.
#[derive(Debug, Clone)]
pub struct Broken<S> {
    inner: BreakerService<S, OfService>,
    watched: Arc<Watched>,
}

/// The breaker, and what was told of it.
#[derive(Debug)]
struct Watched {
    breaker: Breaker,
    service: Arc<str>,
    told: Told,
}

impl<S: Clone> Broken<S> {
    /// Puts a breaker around a client of `service`.
    pub fn new(inner: S, breaker: Breaker, service: Arc<str>) -> Self {
        let layer = BreakerLayer::new(breaker.clone(), OfService(grpc::Table::default())).begins(Begins::WithHead);
        Broken { inner: layer.layer(inner), watched: Arc::new(Watched { breaker, service, told: Told::default() }) }
    }
}

impl<S> Service<Request<Body>> for Broken<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault> + Clone,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Watching<S>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Watching { answer: self.inner.call(request), watched: self.watched.clone() }
    }
}

pin_project! {
    /// The answer to a call behind a breaker, or its refusal.
    pub struct Watching<S>
    where
        S: Service<Request<Body>>,
    {
        #[pin]
        answer: ResponseFuture<S, Request<Body>, OfService>,
        watched: Arc<Watched>,
    }
}

impl<S> Future for Watching<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(context));
        let Watched { breaker, service, told } = &**this.watched;
        told.tell(breaker, breaker.state(), service, "all of them");
        Poll::Ready(match answer {
            Ok(response) => match response.extensions().get::<Rejected>() {
                Some(rejected) => {
                    Err(Fault::BreakerOpen { retry_after: Duration::from_millis(rejected.retry_after_ms) })
                }
                None => Ok(response.map(Body::new)),
            },
            Err(error) => Err(error.downcast::<Fault>().map_or(Fault::NoEndpoint, |fault| *fault)),
        })
    }
}

/// What answers and faults say about a service.
#[derive(Debug, Clone)]
struct OfService(grpc::Table);

impl Classify for OfService {
    fn head(&self, status: StatusCode, headers: &HeaderMap, elapsed: Duration) -> Verdict {
        // Callers who give no time at all would close the service to everybody.
        if code_of(headers) == Some(Code::DeadlineExceeded) && elapsed < CHANCE_MIN {
            return Verdict::Final(Outcome::Ignored);
        }
        self.0.head(status, headers, elapsed)
    }

    fn end(&self, trailers: Option<&HeaderMap>, elapsed: Duration) -> Outcome {
        self.0.end(trailers, elapsed)
    }

    fn error(&self, error: &(dyn Error + 'static)) -> Outcome {
        match error.downcast_ref::<Fault>() {
            Some(fault) if fault.is_unsent() => Outcome::Ignored,
            Some(_) | None => Outcome::Failure,
        }
    }

    fn refuse(&self, rejected: &Rejected) -> Response<()> {
        self.0.refuse(rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// A fuzzer's `Request-Timeout: 0.001` made UNAVAILABLE of everybody's calls.
    #[test]
    fn a_caller_who_gives_no_time_says_nothing_about_the_service() {
        let mut too_late = HeaderMap::new();
        too_late.insert("grpc-status", HeaderValue::from(Code::DeadlineExceeded as i32));
        let judged = |elapsed| OfService(grpc::Table::default()).head(StatusCode::OK, &too_late, elapsed);

        assert_eq!(judged(Duration::from_millis(1)), Verdict::Final(Outcome::Ignored));
        assert_eq!(judged(Duration::from_secs(1)), Verdict::Final(Outcome::Failure));
    }
}
