//! Counts what callers see.

use super::metrics::ServiceMetrics;
use super::{Attempt, Fault};
use http::{Request, Response};
use std::task::{Context, Poll};
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
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Attempt;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Attempt {
        let (metrics, begun) = (self.metrics.clone(), Instant::now());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            match &answer {
                Ok(_) => metrics.answered(begun.elapsed()),
                Err(fault) => metrics.failed(fault.is_unsent()),
            }
            answer
        })
    }
}
