//! The gRPC services of a catalog, by name, each in the one stack of layers that stands around all of them.

use crate::drained::Drained;
use foldhash::HashMap;
use futures_util::future::{BoxFuture, ready};
use guard::{GuardLayer, Guarded};
use http::{Request, Response};
use lifecycle::Drain;
use rpc::client::Wanted;
use rpc::{Caller, Upstream};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// What a call goes through, outermost first. Whatever protocol it came in, it is gRPC here.
pub(crate) type Stack = Drained<Guarded<Served>>;

/// Finds the service of a call.
#[derive(Debug)]
pub(crate) struct Services {
    by_name: HashMap<Arc<str>, Known>,
    guard: GuardLayer,
    drain: Drain,
}

/// The methods of a service that are served, by path, as in `/comanda.order.v1.OrderService/GetOrder`.
pub(crate) type Methods = HashMap<Arc<str>, Method>;

/// What is known of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Every endpoint of its service has it.
    AtAny,
    /// The endpoints that take this have it.
    AtThose(Wanted),
}

/// A service, and what it is known to have.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) upstream: Upstream,
    pub(crate) methods: Arc<Methods>,
}

/// A service, called only for what it is known to have, or for anything if nothing is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    caller: Caller,
    methods: Arc<Methods>,
}

impl Services {
    pub(crate) fn new(by_name: HashMap<Arc<str>, Known>, guard: GuardLayer, drain: Drain) -> Self {
        Services { by_name, guard, drain }
    }

    /// The service of this full name.
    pub(crate) fn get(&self, name: &str) -> Option<Stack> {
        let Known { upstream, methods } = self.by_name.get(name)?;
        Some(self.stack(Served { caller: upstream.caller().clone(), methods: Arc::clone(methods) }))
    }

    /// Whether a method is served, `/package.Service/Method`.
    pub(crate) fn has_method(&self, path: &str) -> bool {
        let name = path.strip_prefix('/').and_then(|name| name.split('/').next()).unwrap_or_default();
        self.by_name.get(name).is_some_and(|known| known.methods.contains_key(path))
    }

    /// The upstream of each service.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = (Arc<str>, Upstream)> {
        self.by_name.iter().map(|(name, known)| (name.clone(), known.upstream.clone()))
    }

    /// The one place where layers are put around a service, whichever it is and wherever it was found.
    fn stack(&self, served: Served) -> Stack {
        // Outside of the guard, whose answers may be streams as well.
        Drained { inner: self.guard.layer(served), drain: self.drain.clone() }
    }
}

impl Service<Request<Body>> for Served {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.caller.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        match self.methods.get(path) {
            Some(Method::AtAny) => self.caller.call(request),
            Some(Method::AtThose(wanted)) => {
                request.extensions_mut().insert(*wanted);
                self.caller.call(request)
            }
            None if self.methods.is_empty() => self.caller.call(request),
            None => {
                let name = path.strip_prefix('/').unwrap_or(path);
                let refusal = Status::unimplemented(format!("no method {name} is served here"));
                Box::pin(ready(Ok(refusal.into_http())))
            }
        }
    }
}
