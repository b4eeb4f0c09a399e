//! What stands at the port, around the [`Front`]: it turns what callers speak into what the front understands, and back.
//!
//! Outermost first: the ids of the request and its line in the access log, so that refused requests have them too; the size of its head; CORS, since
//! a browser must be able to read a refusal; WebSockets; compression of the answer; then what the body is, gRPC-Web or compressed. A call of plain
//! gRPC passes all of it untouched.

mod access_log;
mod compression;
mod cors;
mod grpc_web;
mod ids;
mod joined;
mod peer;
mod places;
mod stall;
mod tls;
mod websocket;

pub use access_log::AccessLogConfig;
pub(crate) use access_log::{AccessLog, Witness};
pub use compression::CompressionConfig;
pub(crate) use cors::Cors;
pub use cors::CorsConfig;
pub(crate) use joined::Joined;
pub(crate) use places::{Place, Places};
pub(crate) use stall::Stall;
pub(crate) use tls::Tls;
pub use tls::{ClientCertificate, TlsConfig};
pub use websocket::WebSocketConfig;

use crate::front::{Front, is_grpc};
use crate::unread;
use crate::{Config, Error};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use grpc_web::Dialect;
use guard::Peer;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use ids::{Ids, REQUEST_ID};
use serde_json::json;
use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;
use telemetry::about::about;
use tokio::sync::mpsc;
use tonic::Code;
use tonic::body::Body;
use websocket::Asked;

/// What HTTP/2 counts for each header besides its name and value (RFC 9113 6.5.2).
const HEADER_OVERHEAD_BYTES: usize = 32;

/// The edge of the public port.
pub(crate) struct Edge {
    pub(crate) front: Front,
    cors: Cors,
    compression: CompressionConfig,
    access_log: Option<AccessLog>,
    websocket: websocket::Limits,
    headers_max: usize,
    header_bytes_max: usize,
}

/// What a connection is to its requests.
pub(crate) struct Line {
    pub(crate) peer: Peer,
    /// What the connection occupies.
    pub(crate) held: Arc<dyn Any + Send + Sync>,
    /// Takes what goes on when the connection is no longer one of HTTP.
    pub(crate) sessions: mpsc::Sender<Session>,
}

/// What goes on when a connection is no longer one of HTTP, and what it occupies.
pub(crate) type Session = (BoxFuture<'static, ()>, Arc<dyn Any + Send + Sync>);

/// The protocol that a request was spoken in, in its extensions, where its form does not tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spoken(pub(crate) &'static str);

impl Line {
    /// Has a session run; false when too many begin at once, or the gateway stops.
    fn begin(&self, session: BoxFuture<'static, ()>) -> bool {
        self.sessions.try_send((session, Arc::clone(&self.held))).is_ok()
    }
}

impl Edge {
    /// # Errors
    /// When a setting cannot be used, or the access log cannot be written.
    pub(crate) fn new(front: Front, config: &Config) -> Result<Self, Error> {
        Ok(Edge {
            front,
            cors: Cors::new(&config.cors)?,
            compression: config.compression.clone(),
            access_log: AccessLog::open(&config.access_log)?,
            websocket: config.websocket.limits(config.transcode.body_bytes_max),
            headers_max: config.headers_max,
            header_bytes_max: usize::try_from(config.header_bytes_max).unwrap_or(usize::MAX),
        })
    }

    /// Answers a request, whatever it is and whatever happens. What takes no waiting is done at once, since hyper keeps room for the future in
    /// each connection, also in one that is idle.
    pub(crate) fn answer<'a>(
        self: &'a Arc<Self>,
        mut request: Request<Body>,
        line: &'a Line,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'a {
        let ids = Arc::new(Ids::settle(request.headers_mut()));
        let (mut request, witness) = match &self.access_log {
            Some(log) => {
                let (request, witness) = log.begin(request, &line.peer, &ids);
                (request, Some(witness))
            }
            None => (request, None),
        };
        request.extensions_mut().insert(line.peer.clone());
        let answer = match self.complaint(request.headers()) {
            Some(complaint) => ready(too_large(&request, complaint)).left_future(),
            None => about(ids.clone(), self.converse(request, line)).right_future(),
        };
        answer.map(move |mut response| {
            response.headers_mut().insert(REQUEST_ID, ids.request.clone());
            Ok(match witness {
                Some(witness) => witness.answered(response),
                None => response,
            })
        })
    }

    /// What is wrong with the size of a head. HTTP/2 bounds its bytes already, and HTTP/1 its number.
    fn complaint(&self, headers: &HeaderMap) -> Option<String> {
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES);
        if headers.len() > self.headers_max {
            return Some(format!("the request has more than {} headers", self.headers_max));
        }
        (bytes.sum::<usize>() > self.header_bytes_max)
            .then(|| format!("the headers of the request have more than {} bytes", self.header_bytes_max))
    }

    fn converse<'a>(
        self: &'a Arc<Self>,
        request: Request<Body>,
        line: &'a Line,
    ) -> impl Future<Output = Response<Body>> + Send + 'a {
        if is_grpc(&request) {
            return self.front.answer(request).left_future();
        }
        self.cors.around(request, |request| self.respond(request, line)).right_future()
    }

    fn respond<'a>(
        self: &'a Arc<Self>,
        request: Request<Body>,
        line: &'a Line,
    ) -> impl Future<Output = Response<Body>> + Send + 'a {
        if let Some(asked) = Asked::of(&request)
            && let Some(route) = self.front.stream_route(request.uri().path())
        {
            let edge = Arc::clone(self);
            let answer = move |request| async move { edge.front.answer(request).await };
            let response = websocket::open((&asked, route), request, (&self.cors, self.websocket), line, answer);
            return ready(response).boxed().left_future();
        }
        if let Some(dialect) = Dialect::of(&request) {
            return self.web(dialect, request).boxed().left_future();
        }
        let accepted = compression::accepted(request.headers());
        let request = compression::with_plain_tags(request);
        let answer = compression::decompressed(request, |request| self.front.answer(request));
        let compress = move |response| compression::compress(&self.compression, &accepted, response);
        answer.then(compress).right_future()
    }

    /// Answers a call of gRPC-Web.
    async fn web(&self, dialect: Dialect, request: Request<Body>) -> Response<Body> {
        let (request, unread) = unread::lend(request);
        let answer = self.front.answer(dialect.call(request.map(Body::new)));
        dialect.answer(unread.read_after(answer).await)
    }
}

/// Refuses a head, in the protocol of its call.
fn too_large(request: &Request<Body>, complaint: String) -> Response<Body> {
    if is_grpc(request) && request.version() == Version::HTTP_2 {
        return tonic::Status::resource_exhausted(complaint).into_http();
    }
    refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Code::ResourceExhausted, &complaint)
}

/// A refusal of the edge itself, with a `google.rpc.Status`.
fn refusal(http: StatusCode, code: Code, message: &str) -> Response<Body> {
    let status = json!({"code": i32::from(code), "message": message, "details": []});
    let mut response = Response::new(Body::new(http_body_util::Full::from(status.to_string())));
    *response.status_mut() = http;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
