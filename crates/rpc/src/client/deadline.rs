//! Bounds a call by the caller's deadline, whatever it waits for.
//!
//! tonic's channel does not: with no endpoint a call hangs past its timeout.

use super::{Attempt, Fault};
use crate::deadline::BoundedBody;
use crate::timeout;
use http::{Request, Response};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tower::Service;

/// When a call must be over; stands in its extensions for the layers inside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until(pub(crate) Instant);

/// A client whose calls end in time. The caller's `grpc-timeout` bounds all of a call, streams too; without one, the time until the answer
/// begins is bounded.
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    inner: S,
    default: Option<Duration>,
}

impl<S> Deadline<S> {
    /// Gives calls that name no timeout this one; `None`: they have none.
    pub fn new(inner: S, default: Option<Duration>) -> Self {
        Deadline { inner, default }
    }
}

impl<S> Service<Request<Body>> for Deadline<S>
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

    fn call(&mut self, mut request: Request<Body>) -> Attempt {
        let asked = match request.headers().get(timeout::HEADER).map(timeout::parse).transpose() {
            Ok(asked) => asked,
            Err(error) => return Box::pin(async move { Err(error.into()) }),
        };
        let Some(timeout) = asked.or(self.default) else { return Box::pin(self.inner.call(request)) };
        let deadline = Instant::now() + timeout;
        if asked.is_some() {
            request.extensions_mut().insert(Until(deadline));
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            match timeout_at(deadline, answer).await {
                Err(_elapsed) => Err(Fault::Deadline),
                Ok(Ok(response)) if asked.is_some() => Ok(response.map(|body| BoundedBody::until(body, deadline))),
                Ok(answer) => answer,
            }
        })
    }
}
