//! Turns a panic of a handler, or of the stream it returned, into INTERNAL.

use crate::Answer;
use bytes::Bytes;
use futures_util::FutureExt;
use http::Request;
use http_body::{Body as HttpBody, Frame};
use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tower::Service;
use tracing::error;

/// A server whose panics are answers.
#[derive(Debug, Clone)]
pub(crate) struct Shielded<S>(S);

impl<S> Shielded<S> {
    pub(crate) fn new(inner: S) -> Self {
        Shielded(inner)
    }
}

impl<S> Service<Request<Body>> for Shielded<S>
where
    S: Service<Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let mut inner = self.0.clone();
        let method = request.uri().path().to_owned();
        // Unwind safe: nothing of the request is used after its panic.
        let answer = AssertUnwindSafe(async move { inner.call(request).await }).catch_unwind();
        Box::pin(async move {
            Ok(match answer.await {
                Ok(Ok(response)) => response.map(|body| Body::new(ShieldedBody { body: Some(body), method })),
                Err(panic) => panicked(&method, panic.as_ref()).into_http(),
            })
        })
    }
}

/// A response body whose panic becomes trailers.
struct ShieldedBody {
    /// `None` after its panic.
    body: Option<Body>,
    method: String,
}

impl HttpBody for ShieldedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        // Unwind safe: the body is dropped after its panic.
        match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(context))) {
            Ok(frame) => frame,
            Err(panic) => {
                self.body = None;
                Poll::Ready(Some(Ok(trailers(&panicked(&self.method, panic.as_ref())))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

/// A status as the last frame of a response.
pub(crate) fn trailers(status: &Status) -> Frame<Bytes> {
    let mut headers = http::HeaderMap::new();
    status.add_header(&mut headers).expect("a status without metadata, made here, is a valid header map");
    Frame::trailers(headers)
}

fn panicked(method: &str, panic: &(dyn Any + Send)) -> Status {
    let reason = panic.downcast_ref::<&str>().copied();
    let reason = reason.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    error!(rpc.method = method, error = reason, "request handler panicked");
    Status::internal("the call failed by a fault of the service; it has been logged")
}
