//! What can be seen of requests: how many, how they ended, how long they took.

use crate::catalog::CatalogMetrics;
use crate::edge::Witness;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::debug;
use transcode::Called;

/// The label of a path that leads to no method, so that clients cannot make labels.
pub(crate) const UNKNOWN: &str = "unknown";

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
pub struct Metrics {
    requests: Family<Labels, Counter>,
    durations: Family<TimeLabels, Histogram>,
    connections: Gauge,
    catalog: CatalogMetrics,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        // 0.5 ms to about 65 s: `Prefer: wait` holds an answer for up to 60 s.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.0005, 2.0, 18));
        let metrics = Metrics {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            connections: Gauge::default(),
            catalog: CatalogMetrics::register(registry),
        };
        let requests = "Requests answered, by protocol, method and gRPC code";
        registry.register("gateway_requests", requests, metrics.requests.clone());
        let durations = "Time from a request to the end of its answer, by protocol and method";
        registry.register_with_unit("gateway_request_duration", durations, Unit::Seconds, metrics.durations.clone());
        registry.register("gateway_connections", "Connections that are open", metrics.connections.clone());
        metrics
    }

    /// Where the catalog is counted.
    pub(crate) fn catalog(&self) -> CatalogMetrics {
        self.catalog.clone()
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Begins to measure a request.
    pub(crate) fn begin(&self, protocol: &'static str, witness: Option<Witness>) -> Measure {
        let begun = Instant::now();
        Measure {
            metrics: self.clone(),
            protocol,
            method: UNKNOWN.to_owned(),
            begun,
            code: None,
            called: None,
            witness,
        }
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
    metrics: Metrics,
    protocol: &'static str,
    method: String,
    begun: Instant,
    /// The code that gRPC answered with.
    code: Option<Code>,
    /// What was transcoded; it knows its code.
    called: Option<Called>,
    /// Who else wants to know.
    witness: Option<Witness>,
}

impl Measure {
    pub(crate) fn method(&mut self, method: &str) {
        method.clone_into(&mut self.method);
    }

    pub(crate) fn called(&mut self, called: Called) {
        if let Some(method) = called.method() {
            method.clone_into(&mut self.method);
        }
        self.called = Some(called);
    }

    pub(crate) fn ended(&mut self, code: Code) {
        self.code = Some(code);
    }

    /// Reads a gRPC status from headers or trailers, if it is there.
    pub(crate) fn read(&mut self, headers: &HeaderMap) {
        self.code = headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes())).or(self.code);
    }

    /// Measures on until the body has been sent, or is given up.
    pub(crate) fn until_sent(self, body: Body) -> Body {
        Body::new(MeasuredBody { body, measure: self })
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        let called = self.called.as_ref().map(Called::code);
        let code = self.code.or(called).unwrap_or(Code::Cancelled);
        let elapsed = self.begun.elapsed();
        let (protocol, method) = (self.protocol, std::mem::take(&mut self.method));
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.witness.iter().for_each(|witness| witness.called(protocol, &method, code));
        debug!(protocol, rpc.method = method, rpc.code = ?code, elapsed_ms, "request answered at the gateway");
        let by_method = TimeLabels { protocol, method: method.clone() };
        self.metrics.durations.get_or_create(&by_method).observe(elapsed.as_secs_f64());
        self.metrics.requests.get_or_create(&Labels { protocol, method, code: format!("{code:?}") }).inc();
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
