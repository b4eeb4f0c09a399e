//! Bounds a call by the caller's deadline, whatever it waits for.
//!
//! tonic's channel does not: with no endpoint a call hangs past its timeout.

use super::Fault;
use crate::deadline::BoundedBody;
use crate::timeout;
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Timeout, timeout_at};
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
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Bounded<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let asked = match request.headers().get(timeout::HEADER).map(timeout::parse).transpose() {
            Ok(asked) => asked,
            Err(error) => return Bounded::Refused { fault: Some(error.into()) },
        };
        let Some(timeout) = asked.or(self.default) else {
            return Bounded::Never { answer: self.inner.call(request) };
        };
        let deadline = Instant::now() + timeout;
        if asked.is_some() {
            request.extensions_mut().insert(Until(deadline));
        }
        let answer = timeout_at(deadline, self.inner.call(request));
        Bounded::InTime { answer, body_until: asked.map(|_| deadline) }
    }
}

pin_project! {
    /// The answer to a call that may take only so long.
    #[project = BoundedProjection]
    pub enum Bounded<F> {
        /// Its time is no time.
        Refused { fault: Option<Fault> },
        /// It has all the time.
        Never { #[pin] answer: F },
        /// It has some; its body has no more if the caller said so.
        InTime { #[pin] answer: Timeout<F>, body_until: Option<Instant> },
    }
}

impl<F: Future<Output = Result<Response<Body>, Fault>>> Future for Bounded<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            BoundedProjection::Refused { fault } => Poll::Ready(Err(fault.take().unwrap_or(Fault::Deadline))),
            BoundedProjection::Never { answer } => answer.poll(context),
            BoundedProjection::InTime { answer, body_until } => {
                let answer = ready!(answer.poll(context)).unwrap_or(Err(Fault::Deadline));
                Poll::Ready(match body_until {
                    Some(until) => answer.map(|response| response.map(|body| BoundedBody::until(body, *until))),
                    None => answer,
                })
            }
        }
    }
}
