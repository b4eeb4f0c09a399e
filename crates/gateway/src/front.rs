//! Decides who answers a request: a service as gRPC, an own endpoint, or the transcoder.

use crate::access::INTERNAL;
use crate::catalog::{Catalog, Current, Own};
use crate::edge::{Spoken, Witness};
use crate::metrics::{GRPC_STATUS, Measure, Metrics};
use crate::own::{ALLOW, Endpoint, Endpoints};
use crate::unread;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, lazy};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;
use tracing::error;
use transcode::{Called, StreamRoute};

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// What a caller is told of a panic; the log knows more.
const FAULT: &str = "the call failed by a fault of the gateway; it has been logged";

/// Everything behind the public port.
pub(crate) struct Front {
    pub(crate) current: Arc<Current>,
    /// Keeps the own services running.
    pub(crate) _own: Own,
    pub(crate) own_endpoints: Endpoints,
    pub(crate) metrics: Metrics,
}

impl Front {
    /// Answers a request, whatever it is and whatever happens. What takes no waiting is done at once, so that the future is small: hyper keeps
    /// room for it in each connection, also in one that is idle.
    pub(crate) fn answer(&self, mut request: Request<Body>) -> impl Future<Output = Response<Body>> + Send + '_ {
        strip_internal(request.headers_mut());
        let is_grpc = is_grpc(&request);
        let catalog = self.current.now();
        let answer = self.dispatch(catalog.clone(), request, is_grpc);
        // Unwind safe: nothing of the request is used after its panic.
        let answered = AssertUnwindSafe(answer).catch_unwind();
        answered.map(move |answered| {
            answered.unwrap_or_else(|panic| {
                let reason = panic_message(panic.as_ref());
                error!(error = reason, "request panicked at the gateway");
                let status = Status::internal(FAULT);
                if is_grpc { status.into_http() } else { catalog.transcoder.status_response(status) }
            })
        })
    }

    /// How the streaming method at a path is called.
    pub(crate) fn stream_route(&self, path: &str) -> Option<StreamRoute> {
        self.current.now().transcoder.stream_route(path)
    }

    fn dispatch(&self, catalog: Arc<Catalog>, request: Request<Body>, is_grpc: bool) -> BoxFuture<'_, Response<Body>> {
        let usual = Spoken(if is_grpc { "grpc" } else { "rest" });
        let Spoken(protocol) = request.extensions().get().copied().unwrap_or(usual);
        let witness = request.extensions().get::<Witness>().cloned();
        if is_grpc {
            Box::pin(pass_through(catalog, request, self.metrics.begin(protocol, witness)))
        } else if let Some(endpoint) = self.own_endpoints.at(request.uri().path()) {
            witness.into_iter().for_each(|witness| witness.at(endpoint.path()));
            let (head, _) = request.into_parts();
            Box::pin(self.own(catalog, endpoint, head))
        } else {
            let measure = self.metrics.begin(protocol, witness);
            Box::pin(lazy(move |_| rest(&catalog, request, measure)).flatten())
        }
    }

    async fn own(&self, catalog: Arc<Catalog>, endpoint: Endpoint, head: Parts) -> Response<Body> {
        let answer = self.own_endpoints.answer(endpoint, &head, &catalog).await;
        answer.unwrap_or_else(|| catalog.transcoder.method_not_allowed(&head.method, ALLOW))
    }
}

fn rest(
    catalog: &Catalog,
    request: Request<Body>,
    mut measure: Measure,
) -> impl Future<Output = Response<Body>> + use<> {
    let (request, unread) = unread::lend(request);
    let answer = catalog.transcoder.call(request, &|service| catalog.services.get(service));
    unread.read_after(answer).map(move |response| {
        if let Some(called) = response.extensions().get::<Called>() {
            measure.called(called.clone());
        }
        response.map(|body| measure.until_sent(body))
    })
}

async fn pass_through(catalog: Arc<Catalog>, request: Request<Body>, mut measure: Measure) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let name = path.strip_prefix('/').unwrap_or(&path);
    let service = name.split('/').next().unwrap_or_default();
    if catalog.services.has_method(&path) {
        measure.method(name);
    }
    let Some(answer) = catalog.services.get(service).map(|mut service| service.call(request)) else {
        measure.ended(Code::Unimplemented);
        return Status::unimplemented(format!("no service {service} is served here")).into_http();
    };
    let response = match answer.await {
        Ok(response) => response,
        Err(impossible) => match impossible {},
    };
    measure.read(response.headers());
    if is_without_a_word(response.headers()) {
        return Status::unimplemented(format!("no method {name} is served here")).into_http();
    }
    response.map(|body| measure.until_sent(body))
}

/// Whether a generated server has refused a method that it does not know, which it does without a message.
fn is_without_a_word(headers: &HeaderMap) -> bool {
    let is_unimplemented = headers.get(GRPC_STATUS).is_some_and(|code| code == "12");
    is_unimplemented && !headers.contains_key(GRPC_MESSAGE)
}

/// gRPC, and not gRPC-Web.
pub(crate) fn is_grpc(request: &Request<Body>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = content_type.strip_prefix(b"application/grpc");
    request.method() == Method::POST && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn strip_internal(headers: &mut HeaderMap) {
    let internal = headers.keys().filter(|name| name.as_str().starts_with(INTERNAL));
    let internal: Vec<HeaderName> = internal.cloned().collect();
    for name in internal {
        headers.remove(name);
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a block that the system's allocator keeps at hand for its thread.
    const AT_HAND_BYTES: usize = 1_032;

    #[test]
    fn a_transcoded_call_takes_a_block_that_is_at_hand() {
        fn room<F>(_: fn(&Catalog, Request<Body>, Measure) -> F) -> usize {
            size_of::<F>()
        }

        let bytes = room(rest);

        assert!(bytes < AT_HAND_BYTES, "it takes {bytes} bytes; before it was seen to, 6,184");
    }
}
