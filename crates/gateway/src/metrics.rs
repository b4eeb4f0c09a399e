//! What can be seen of requests: how many, how they ended, how long they took.

use crate::catalog::CatalogMetrics;
use crate::edge::Witness;
use arc_swap::ArcSwap;
use bytes::Bytes;
use foldhash::HashMap;
use http::{HeaderMap, HeaderName};
use http_body::{Body as HttpBody, Frame};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::debug;
use transcode::Called;

/// The label of a path that leads to no method, so that clients cannot make labels.
pub(crate) const UNKNOWN: &str = "unknown";
pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// The codes of gRPC, `OK` to `UNAUTHENTICATED`.
const CODES: usize = 17;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    protocol: &'static str,
    method: String,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TimeLabels {
    protocol: &'static str,
    method: String,
}

/// Counters of the gateway. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    requests: Family<Labels, Counter>,
    durations: Family<TimeLabels, Histogram>,
    connections: Gauge,
    penalties: Counter,
    guard: guard::Metrics,
    catalog: CatalogMetrics,
    /// Those of each method that was called, by protocol: looked up by what a request has, without making labels of it.
    known: ArcSwap<Known>,
}

/// The counters of methods, by protocol and name.
type Known = HashMap<&'static str, HashMap<String, Arc<OfMethod>>>;

/// The counters of one method in one protocol.
#[derive(Debug)]
struct OfMethod {
    duration: Histogram,
    by_code: [OnceLock<Counter>; CODES],
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        // 0.5 ms to about 65 s: `Prefer: wait` holds an answer for up to 60 s.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.0005, 2.0, 18));
        let counters = Counters {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            connections: Gauge::default(),
            penalties: Counter::default(),
            guard: guard::Metrics::register(registry.sub_registry_with_prefix("gateway")),
            catalog: CatalogMetrics::register(registry),
            known: ArcSwap::default(),
        };
        let requests = "Requests answered, by protocol, method and gRPC code";
        registry.register("gateway_requests", requests, counters.requests.clone());
        let durations = "Time from a request to the end of its answer, by protocol and method";
        registry.register_with_unit("gateway_request_duration", durations, Unit::Seconds, counters.durations.clone());
        registry.register("gateway_connections", "Connections that are open", counters.connections.clone());
        let penalties = "Connections that were ended because their clients broke the rules of HTTP/2";
        registry.register("gateway_penalties", penalties, counters.penalties.clone());
        Metrics(Arc::new(counters))
    }

    /// Where the guard before the services counts.
    pub(crate) fn guard(&self) -> guard::Metrics {
        self.0.guard.clone()
    }

    /// Where the catalog is counted.
    pub(crate) fn catalog(&self) -> CatalogMetrics {
        self.0.catalog.clone()
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn connection(&self) -> OpenConnection {
        self.0.connections.inc();
        OpenConnection(self.0.connections.clone())
    }

    /// Counts a connection whose client broke the rules.
    pub(crate) fn penalised(&self) {
        self.0.penalties.inc();
    }

    /// Begins to measure a request.
    pub(crate) fn begin(&self, protocol: &'static str, witness: Option<Witness>) -> Measure {
        let begun = Instant::now();
        Measure { counters: Arc::clone(&self.0), protocol, method: None, begun, code: None, called: None, witness }
    }
}

impl Counters {
    /// Makes the counters of a method that is called for the first time.
    fn know(&self, protocol: &'static str, method: &str) {
        let labels = TimeLabels { protocol, method: method.to_owned() };
        let duration = self.durations.get_or_create(&labels).clone();
        let counters = Arc::new(OfMethod { duration, by_code: [const { OnceLock::new() }; CODES] });
        self.known.rcu(|known| {
            let mut known = Known::clone(known);
            known.entry(protocol).or_default().entry(method.to_owned()).or_insert_with(|| Arc::clone(&counters));
            known
        });
    }

    fn note(&self, protocol: &'static str, method: &str, code: Code, seconds: f64) {
        let known = self.known.load();
        let Some(counters) = known.get(protocol).and_then(|methods| methods.get(method)) else {
            self.know(protocol, method);
            return self.note(protocol, method, code, seconds);
        };
        counters.duration.observe(seconds);
        let counter = || {
            let labels = Labels { protocol, method: method.to_owned(), code: format!("{code:?}") };
            self.requests.get_or_create(&labels).clone()
        };
        match counters.by_code.get(code as usize) {
            Some(known) => known.get_or_init(counter).inc(),
            None => counter().inc(),
        };
    }
}

/// Lowers the number of open connections when it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One request, counted when this is dropped.
pub(crate) struct Measure {
    counters: Arc<Counters>,
    protocol: &'static str,
    method: Option<String>,
    begun: Instant,
    /// The code that gRPC answered with.
    code: Option<Code>,
    /// What was transcoded; it knows its method and its code.
    called: Option<Called>,
    /// Who else wants to know.
    witness: Option<Witness>,
}

impl Measure {
    pub(crate) fn method(&mut self, method: &str) {
        self.method = Some(method.to_owned());
    }

    pub(crate) fn called(&mut self, called: Called) {
        self.called = Some(called);
    }

    pub(crate) fn ended(&mut self, code: Code) {
        self.code = Some(code);
    }

    /// Reads a gRPC status from headers or trailers, if it is there.
    pub(crate) fn read(&mut self, headers: &HeaderMap) {
        self.code = headers.get(GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes())).or(self.code);
    }

    /// Measures on until the body has been sent, or is given up.
    pub(crate) fn until_sent(self, body: Body) -> Body {
        Body::new(MeasuredBody { body, measure: self })
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        let called = self.called.as_ref();
        let code = self.code.or(called.map(Called::code)).unwrap_or(Code::Cancelled);
        let method = called.and_then(Called::method).or(self.method.as_deref()).unwrap_or(UNKNOWN);
        let elapsed = self.begun.elapsed();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let protocol = self.protocol;
        self.witness.iter().for_each(|witness| witness.called(protocol, method, code));
        debug!(protocol, rpc.method = method, rpc.code = ?code, elapsed_ms, "request answered at the gateway");
        self.counters.note(protocol, method, code, elapsed.as_secs_f64());
    }
}

struct MeasuredBody {
    body: Body,
    measure: Measure,
}

impl HttpBody for MeasuredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => frame.trailers_ref().into_iter().for_each(|trailers| self.measure.read(trailers)),
            Some(Err(status)) => self.measure.ended(status.code()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
