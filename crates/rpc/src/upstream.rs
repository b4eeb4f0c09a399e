//! What a client calls: a service that can be away and come back.

use crate::client::{
    Admission, Broken, ClientConfig, ClientMetrics, Counted, Deadline, Fault, Interview, MethodConfig, Methods, Pool,
    Retry, ServiceMetrics, ServiceView,
};
use crate::{Answer, Guarded};
use breaker::{Breaker, Forced};
use discovery::Endpoints;
use futures_util::FutureExt;
use http::Request;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tonic::body::Body;
use tower::Service;

/// A service as its callers see it; the transport of generated clients. Clones call the same service.
///
/// It is always ready: while the service is away, calls answer UNAVAILABLE, at once or after the short time in which it may come back.
#[derive(Debug, Clone)]
pub struct Upstream {
    caller: Caller,
    breaker: Breaker,
    pool: Pool,
    methods: Methods,
    news: News,
}

/// A service to nobody but its callers: what is left of an [`Upstream`] when each call has a clone of its own.
#[derive(Debug, Clone)]
pub struct Caller {
    name: Arc<str>,
    stack: Stack,
}

/// Where it shows that the service has come or gone.
#[derive(Debug, Clone)]
enum News {
    Plugged(watch::Receiver<Option<Guarded>>),
    Listed(watch::Receiver<u64>),
}

/// Outermost first.
type Stack = Deadline<Counted<Broken<Admission<Retry<Pool>>>>>;

impl Upstream {
    /// A service in this process, called `name` in what callers are told, and the slot where it is plugged in.
    #[must_use]
    pub fn in_process(name: impl Into<Arc<str>>) -> (Upstream, Slot) {
        let slot = Slot::new(name);
        let upstream = Upstream::plugged(&slot, &ClientConfig::default(), &ClientMetrics::default());
        (upstream.expect("the settings that a client has by itself are valid"), slot)
    }

    /// The service that is plugged into `slot`.
    ///
    /// # Errors
    /// When a setting of a breaker is out of its range.
    pub fn plugged(slot: &Slot, config: &ClientConfig, metrics: &ClientMetrics) -> Result<Upstream, breaker::Error> {
        let (methods, metrics) = (Methods::new(config.methods.clone()), metrics.of(&slot.name));
        let pool = Pool::in_process(slot.name.clone(), slot.server.subscribe(), methods.clone(), metrics.clone())?;
        Upstream::new(slot.name.clone(), pool, News::Plugged(slot.server.subscribe()), config, (methods, metrics))
    }

    /// A service of other processes, at whatever endpoints there are. They are connected to at once.
    ///
    /// # Errors
    /// When a setting of a breaker is out of its range.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn discovered(
        name: impl Into<Arc<str>>,
        endpoints: Endpoints,
        config: &ClientConfig,
        metrics: &ClientMetrics,
    ) -> Result<Upstream, breaker::Error> {
        Upstream::following(name.into(), (endpoints, None), config, metrics)
    }

    /// A service whose endpoints are asked what they offer before they are called.
    ///
    /// # Errors
    /// When a setting of a breaker is out of its range.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn interviewed(
        name: impl Into<Arc<str>>,
        endpoints: Endpoints,
        interview: Arc<dyn Interview>,
        config: &ClientConfig,
        metrics: &ClientMetrics,
    ) -> Result<Upstream, breaker::Error> {
        Upstream::following(name.into(), (endpoints, Some(interview)), config, metrics)
    }

    fn following(
        name: Arc<str>,
        followed: (Endpoints, Option<Arc<dyn Interview>>),
        config: &ClientConfig,
        metrics: &ClientMetrics,
    ) -> Result<Upstream, breaker::Error> {
        let (methods, metrics) = (Methods::new(config.methods.clone()), metrics.of(&name));
        let pool = Pool::following(name.clone(), followed, config.pool.clone(), methods.clone(), metrics.clone())?;
        let news = News::Listed(pool.news());
        Upstream::new(name, pool, news, config, (methods, metrics))
    }

    /// A service at one address, called with the settings that a client has by itself.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn remote(name: impl Into<Arc<str>>, address: SocketAddr) -> Upstream {
        let endpoints = discovery::fixed(vec![address]);
        let upstream = Upstream::discovered(name, endpoints, &ClientConfig::default(), &ClientMetrics::default());
        upstream.expect("the settings that a client has by itself are valid")
    }

    fn new(
        name: Arc<str>,
        pool: Pool,
        news: News,
        config: &ClientConfig,
        (methods, metrics): (Methods, ServiceMetrics),
    ) -> Result<Upstream, breaker::Error> {
        let breaker = Breaker::new(&config.breaker)?;
        let timeout = (config.timeout_default_ms > 0).then(|| Duration::from_millis(config.timeout_default_ms));
        let retry = Retry::new(pool.clone(), config.retry.clone(), methods.clone(), metrics.clone());
        let admission = Admission::new(retry, config.in_flight_max);
        let counted = Counted::new(Broken::new(admission, breaker.clone(), name.clone()), metrics);
        let caller = Caller { name, stack: Deadline::new(counted, timeout) };
        Ok(Upstream { caller, breaker, pool, methods, news })
    }

    /// The name that callers are told.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.caller.name
    }

    /// What it is to its callers.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Says what is known of the methods of the service from now on, by path, instead of what the configuration said.
    pub fn know(&self, methods: BTreeMap<String, MethodConfig>) {
        self.methods.replace(methods);
    }

    /// Whether the service is a server in this process.
    #[must_use]
    pub fn is_in_process(&self) -> bool {
        matches!(self.news, News::Plugged(_))
    }

    /// Whether an endpoint of the service can be reached now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.pool.is_reached()
    }

    /// Waits until the service, or an endpoint of it, has come or gone since the last look, and never returns when none can any more. Cancel
    /// safe: a change is not missed.
    pub async fn changed(&mut self) {
        let is_over = match &mut self.news {
            News::Plugged(server) => server.changed().await.is_err(),
            News::Listed(count) => count.changed().await.is_err(),
        };
        if is_over {
            std::future::pending::<()>().await;
        }
    }

    /// What an operator sees.
    #[must_use]
    pub fn view(&self) -> ServiceView {
        let (list_age, list_fault) = self.pool.list();
        let (breaker, endpoints) = (self.breaker.snapshot(), self.pool.views());
        ServiceView { service: self.caller.name.clone(), breaker, endpoints, list_age, list_fault }
    }

    /// Forces the breaker of the service, or of one endpoint, open or closed, or gives it back to itself. Returns whether there is such a
    /// breaker.
    #[must_use]
    pub fn force(&self, endpoint: Option<&str>, forced: Option<Forced>) -> bool {
        let breaker = match endpoint {
            None => Some(self.breaker.clone()),
            Some(name) => self.pool.breaker(name),
        };
        breaker.is_some_and(|breaker| {
            breaker.force(forced);
            true
        })
    }
}

impl Service<Request<Body>> for Upstream {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        self.caller.call(request)
    }
}

impl Service<Request<Body>> for Caller {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let (name, answer) = (self.name.clone(), self.stack.call(request));
        let told = move |fault: Fault| fault.to_status(&name).into_http();
        Box::pin(answer.map(|answer| Ok(answer.unwrap_or_else(told))))
    }
}

/// Where a server in this process is plugged in. Dropping it unplugs the server.
#[derive(Debug)]
pub struct Slot {
    name: Arc<str>,
    server: watch::Sender<Option<Guarded>>,
}

impl Slot {
    /// An empty slot, for the service called `name`.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Slot { name: name.into(), server: watch::Sender::new(None) }
    }

    /// Plugs a server in, instead of the one before.
    pub fn fill(&self, server: Guarded) {
        self.server.send_replace(Some(server));
    }

    /// Unplugs the server. Calls that it has begun go on to their end.
    pub fn clear(&self) {
        self.server.send_replace(None);
    }

    /// The server as it is seen from other processes, past the client stack, which is theirs.
    #[must_use]
    pub fn served(&self) -> Served {
        Served { name: self.name.clone(), server: self.server.subscribe() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A server of this process, behind a port.
#[derive(Debug, Clone)]
pub struct Served {
    name: Arc<str>,
    server: watch::Receiver<Option<Guarded>>,
}

impl Service<Request<Body>> for Served {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let server = self.server.borrow().clone();
        match server {
            Some(mut server) => server.call(request),
            None => {
                let response = Fault::NotRunning.to_status(&self.name).into_http();
                Box::pin(async move { Ok(response) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a block that the system's allocator keeps at hand for its thread.
    const AT_HAND_BYTES: usize = 1_032;

    #[tokio::test]
    async fn a_call_takes_blocks_that_are_at_hand() {
        let (mut upstream, _slot) = Upstream::in_process("parrot");

        let call = size_of_val(&*upstream.call(Request::new(Body::empty())));
        let attempt = size_of_val(&*upstream.pool.call(Request::new(Body::empty())));

        assert!(call < AT_HAND_BYTES && attempt < AT_HAND_BYTES, "a call takes {call} bytes, an attempt {attempt}");
    }
}
