//! The endpoints that are no RPC: `/`, `/openapi.json`, `/docs`, `/healthz`, `/readyz`, `/metrics`, `/admin/routes`.

use crate::catalog::Catalog;
use crate::docs::{self, File};
use crate::readiness::{ReadinessProbe, State};
use crate::{Directory, MetricsText, Peer};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;
use tonic::Status;
use tonic::body::Body;
use transcode::{Document, Guards, Security};

/// The media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";
/// What the description of the API says first.
const ABOUT: &str = "Takes orders for many restaurants and never turns one away because another service is down.\n\n\
    Every error is a `google.rpc.Status`. Every GET has a HEAD, and OPTIONS tells which methods a path has. \
    Bodies and queries are read strictly: what is not described is refused, with the path of the field. \
    A field can be given by its name in JSON or in the `.proto` file.";
/// The methods of these endpoints.
pub(crate) const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Their paths, which no service can have.
const PATHS: [&str; 6] = ["/", "/openapi.json", "/healthz", "/readyz", "/metrics", "/admin/routes"];

/// Whether a path is one of the gateway's own, or kept for one.
pub(crate) fn is_own(path: &str) -> bool {
    PATHS.contains(&path) || docs::at(path).is_some()
}

/// Answers the own endpoints.
pub(crate) struct Endpoints {
    readiness: ReadinessProbe,
    metrics_text: Option<MetricsText>,
    directory: Directory,
}

/// One of the own endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Root,
    OpenApi,
    Docs(&'static File),
    Health,
    Readiness,
    Metrics,
    Routes,
}

/// Headers by which a proxy says that it speaks for somebody else.
const FORWARDED: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

impl Endpoint {
    /// Where it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Endpoint::Root => "/",
            Endpoint::OpenApi => "/openapi.json",
            Endpoint::Docs(_) => "/docs",
            Endpoint::Health => "/healthz",
            Endpoint::Readiness => "/readyz",
            Endpoint::Metrics => "/metrics",
            Endpoint::Routes => "/admin/routes",
        }
    }
}

impl Endpoints {
    pub(crate) fn new(readiness: ReadinessProbe, metrics_text: Option<MetricsText>, directory: Directory) -> Self {
        Endpoints { readiness, metrics_text, directory }
    }

    /// The endpoint at a path.
    pub(crate) fn at(&self, path: &str) -> Option<Endpoint> {
        match path {
            "/" => Some(Endpoint::Root),
            "/openapi.json" => Some(Endpoint::OpenApi),
            "/healthz" => Some(Endpoint::Health),
            "/readyz" => Some(Endpoint::Readiness),
            "/metrics" => self.metrics_text.as_ref().map(|_| Endpoint::Metrics),
            "/admin/routes" => Some(Endpoint::Routes),
            path => docs::at(path).map(Endpoint::Docs),
        }
    }

    /// Answers a request for an endpoint; `None` when its method is not one of [`ALLOW`].
    pub(crate) async fn answer(&self, endpoint: Endpoint, asked: &Parts, catalog: &Catalog) -> Option<Response<Body>> {
        let (method, headers) = (&asked.method, &asked.headers);
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
            Endpoint::OpenApi => catalog.openapi.answer(JSON, headers),
            Endpoint::Docs(file) => file.answer(headers),
            Endpoint::Health => response(StatusCode::OK, JSON, json!({"status": "ok"}).to_string().into()),
            Endpoint::Readiness => self.readiness().await,
            Endpoint::Metrics => {
                let text = self.metrics_text.as_ref().map_or_else(String::new, |text| text());
                response(StatusCode::OK, OPEN_METRICS, text.into())
            }
            Endpoint::Routes if is_from_here(asked) => {
                response(StatusCode::OK, JSON, self.directory.to_json().to_string().into())
            }
            Endpoint::Routes => {
                let path = asked.uri.path();
                catalog.transcoder.status_response(Status::not_found(format!("no route matches {path}")))
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

/// Whether a request was made on this machine, and not by a proxy for somebody else.
fn is_from_here(asked: &Parts) -> bool {
    let is_local = asked.extensions.get::<Peer>().is_some_and(|peer| peer.address.to_canonical().is_loopback());
    is_local && FORWARDED.iter().all(|name| !asked.headers.contains_key(*name))
}

fn root() -> Bytes {
    let grpc = "reflection and health on this port";
    json!({"name": "comanda", "openapi": "/openapi.json", "docs": "/docs", "ready": "/readyz", "grpc": grpc})
        .to_string()
        .into()
}

/// What the OpenAPI document says of itself.
pub(crate) fn document(guard: &guard::Config) -> Document {
    described("Comanda", ABOUT, guard)
}

/// The same where Comanda's contract is not served.
pub(crate) fn foreign_document(guard: &guard::Config) -> Document {
    described("Gateway", "All services behind this gateway.", guard)
}

fn described(title: &str, description: &str, guard: &guard::Config) -> Document {
    let takes_tokens = (!guard.issuers.is_empty()).then_some(Security::Bearer);
    let has_keys = !guard.api_keys.is_empty() || guard.api_keys_file.is_some();
    let takes_keys = has_keys.then(|| Security::ApiKey("X-Api-Key".to_owned()));
    Document {
        title: title.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: description.to_owned(),
        security: takes_tokens.into_iter().chain(takes_keys).collect(),
        takes_anonymous: guard.is_open(),
        guards: Guards {
            keeps_answers: guard.idempotency.store != guard::StoreKind::Nowhere,
            limits_rates: !guard.rates.is_empty(),
        },
        recognise_repeats: vec!["comanda.".to_owned()],
        formats: proto::formats::formats(),
        ..Document::default()
    }
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
