//! Bounds a call by the caller's timeout.
//!
//! `grpc-timeout` bounds the whole call, streams included. Without it, the time until the answer begins is bounded: that is all of
//! a unary call, whose answer begins when its handler ends, and leaves a stream without end.

use crate::shield::trailers;
use crate::{Answer, Config, Error, timeout};
use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

/// A server that gives up in time. Handlers are dropped at their deadline.
#[derive(Debug, Clone)]
pub(crate) struct Bounded<S> {
    inner: S,
    default: Duration,
    max: Duration,
}

impl<S> Bounded<S> {
    pub(crate) fn new(inner: S, config: Config) -> Self {
        Bounded { inner, default: config.timeout_default(), max: config.timeout_max() }
    }

    fn asked(&self, request: &Request<Body>) -> Result<Option<Duration>, Error> {
        let header = request.headers().get(timeout::HEADER);
        header.map(|value| Ok(timeout::parse(value)?.min(self.max))).transpose()
    }
}

impl<S> Service<Request<Body>> for Bounded<S>
where
    S: Service<Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let asked = match self.asked(&request) {
            Ok(asked) => asked,
            Err(error) => return Box::pin(async move { Ok(malformed(&error).into_http()) }),
        };
        let begun = Instant::now();
        let answer = self.inner.call(request);
        let deadline = begun + asked.unwrap_or(self.default);
        Box::pin(async move {
            Ok(match timeout_at(deadline, answer).await {
                Err(_elapsed) => exceeded().into_http(),
                Ok(Ok(response)) if asked.is_some() => response.map(|body| BoundedBody::until(body, deadline)),
                Ok(Ok(response)) => response,
            })
        })
    }
}

pin_project! {
    /// A response body that ends with DEADLINE_EXCEEDED at its deadline.
    pub(crate) struct BoundedBody {
        body: Body,
        #[pin]
        sleep: Sleep,
        is_expired: bool,
    }
}

impl BoundedBody {
    /// Bounds a body by a deadline.
    pub(crate) fn until(body: Body, deadline: Instant) -> Body {
        Body::new(BoundedBody { body, sleep: sleep_until(deadline), is_expired: false })
    }
}

impl HttpBody for BoundedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        if *this.is_expired {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut *this.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(this.sleep.poll(context));
        *this.is_expired = true;
        *this.body = Body::empty();
        Poll::Ready(Some(Ok(trailers(&exceeded()))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_expired || self.body.is_end_stream()
    }
}

/// What a caller is told whose deadline has passed.
pub(crate) fn exceeded() -> Status {
    Status::deadline_exceeded("the call was not finished within its timeout; it may have taken effect")
}

fn malformed(error: &Error) -> Status {
    Status::invalid_argument(error.to_string())
}
