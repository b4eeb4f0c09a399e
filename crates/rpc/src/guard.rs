//! The stack in front of a server's routes.

use crate::deadline::Bounded;
use crate::observe::Observed;
use crate::shed::Shedding;
use crate::shield::Shielded;
use crate::{Answer, Config};
use http::Request;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::service::Routes;
use tower::{Service, ServiceBuilder, layer::layer_fn};

/// A server with the guard in front of it.
#[derive(Debug, Clone)]
pub struct Guarded(Observed<Bounded<Shedding<Shielded<Routes>>>>);

impl Guarded {
    /// Puts the guard in front of `routes`.
    #[must_use]
    pub fn new(routes: Routes, config: Config) -> Self {
        // Outermost first.
        let stack = ServiceBuilder::new()
            .layer(layer_fn(Observed::new)) // first, so that refused and late calls are seen too
            .layer(layer_fn(|inner| Bounded::new(inner, config))) // around the shield: what is cut off has not panicked
            .layer(layer_fn(|inner| Shedding::new(inner, config.in_flight_max))) // before any work is done
            .layer(layer_fn(Shielded::new)) // next to the handlers, whose panics it turns into answers
            .service(routes.prepare());
        Guarded(stack)
    }
}

impl Service<Request<Body>> for Guarded {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        self.0.call(request)
    }
}
