//! The endpoints that are no RPC: `/`, `/openapi.json`, `/healthz`, `/readyz`, `/metrics`.

use crate::MetricsText;
use crate::readiness::{ReadinessProbe, State};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;
use tonic::body::Body;
use transcode::{Document, Transcoder};

/// The media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";
/// The methods of these endpoints.
pub(crate) const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Answers the own endpoints.
pub(crate) struct Endpoints {
    openapi: Bytes,
    readiness: ReadinessProbe,
    metrics_text: Option<MetricsText>,
}

/// One of the own endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Root,
    OpenApi,
    Health,
    Readiness,
    Metrics,
}

impl Endpoint {
    /// Where it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Endpoint::Root => "/",
            Endpoint::OpenApi => "/openapi.json",
            Endpoint::Health => "/healthz",
            Endpoint::Readiness => "/readyz",
            Endpoint::Metrics => "/metrics",
        }
    }
}

impl Endpoints {
    pub(crate) fn new(transcoder: &Transcoder, readiness: ReadinessProbe, metrics_text: Option<MetricsText>) -> Self {
        let document = Document {
            title: "Comanda".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "Takes orders for many restaurants and never turns one away because another service is down."
                .to_owned(),
        };
        Endpoints { openapi: transcoder.openapi(&document).to_string().into(), readiness, metrics_text }
    }

    /// The endpoint at a path.
    pub(crate) fn at(&self, path: &str) -> Option<Endpoint> {
        match path {
            "/" => Some(Endpoint::Root),
            "/openapi.json" => Some(Endpoint::OpenApi),
            "/healthz" => Some(Endpoint::Health),
            "/readyz" => Some(Endpoint::Readiness),
            "/metrics" => self.metrics_text.as_ref().map(|_| Endpoint::Metrics),
            _ => None,
        }
    }

    /// Answers a request for an endpoint; `None` when its method is not one of [`ALLOW`].
    pub(crate) async fn answer(&self, endpoint: Endpoint, method: &Method) -> Option<Response<Body>> {
        if method == Method::OPTIONS {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(ALLOW));
            return Some(response);
        }
        if method != Method::GET && method != Method::HEAD {
            return None;
        }
        Some(match endpoint {
            Endpoint::Root => response(StatusCode::OK, JSON, root()),
            Endpoint::OpenApi => response(StatusCode::OK, JSON, self.openapi.clone()),
            Endpoint::Health => response(StatusCode::OK, JSON, json!({"status": "ok"}).to_string().into()),
            Endpoint::Readiness => self.readiness().await,
            Endpoint::Metrics => {
                let text = self.metrics_text.as_ref().map_or_else(String::new, |text| text());
                response(StatusCode::OK, OPEN_METRICS, text.into())
            }
        })
    }

    async fn readiness(&self) -> Response<Body> {
        let readiness = (self.readiness)().await;
        let status = match readiness.status {
            State::Ready | State::Degraded => StatusCode::OK,
            State::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        let body = serde_json::to_vec(&readiness).expect("a readiness has no map with other keys than strings");
        response(status, JSON, body.into())
    }
}

fn root() -> Bytes {
    json!({"name": "comanda", "openapi": "/openapi.json", "ready": "/readyz", "grpc": "reflection and health on this port"})
        .to_string()
        .into()
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
