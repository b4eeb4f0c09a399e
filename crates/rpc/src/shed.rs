//! Turns calls away that come while too many are waiting already.

use crate::Answer;
use crate::client::admission::Room;
use crate::client::{Fault, Importance};
use http::Request;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::Service;

/// A server with a bound on the calls that wait for it.
#[derive(Debug, Clone)]
pub(crate) struct Shedding<S> {
    inner: S,
    room: Room,
}

impl<S> Shedding<S> {
    pub(crate) fn new(inner: S, max: usize) -> Self {
        Shedding { inner, room: Room::new(max) }
    }
}

impl<S> Service<Request<Body>> for Shedding<S>
where
    S: Service<Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        match self.room.enter(Importance::of(request.headers())) {
            Ok(place) => {
                let answer = self.inner.call(request);
                Box::pin(async move {
                    let answer = answer.await;
                    drop(place);
                    answer
                })
            }
            Err(in_flight) => {
                let refusal = Fault::Shed { in_flight }.to_status("called").into_http();
                Box::pin(async move { Ok(refusal) })
            }
        }
    }
}
