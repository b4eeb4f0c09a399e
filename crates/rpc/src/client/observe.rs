//! Counts what callers see.

use super::Fault;
use super::metrics::ServiceMetrics;
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tonic::body::Body;
use tower::Service;

/// A client whose calls are counted, each once, whatever becomes of its attempts.
#[derive(Debug, Clone)]
pub struct Counted<S> {
    inner: S,
    metrics: ServiceMetrics,
}

impl<S> Counted<S> {
    /// Counts calls.
    pub fn new(inner: S, metrics: ServiceMetrics) -> Self {
        Counted { inner, metrics }
    }
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Counting<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (metrics, begun) = (self.metrics.clone(), Instant::now());
        Counting { answer: self.inner.call(request), metrics, begun }
    }
}

pin_project! {
    /// The answer to a call that is counted.
    pub struct Counting<F> {
        #[pin]
        answer: F,
        metrics: ServiceMetrics,
        begun: Instant,
    }
}

impl<F: Future<Output = Result<Response<Body>, Fault>>> Future for Counting<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(context));
        match &answer {
            Ok(_) => this.metrics.answered(this.begun.elapsed()),
            Err(fault) => this.metrics.failed(fault.is_unsent()),
        }
        Poll::Ready(answer)
    }
}
