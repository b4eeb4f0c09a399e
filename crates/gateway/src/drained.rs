//! Ends streams when the gateway stops, so that a watcher does not hold it up, and learns that it should come again.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame};
use lifecycle::{Drain, Requested};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

/// A service whose answers end when the drain is requested: one that waits for its next message ends with UNAVAILABLE. An answer
/// that has not begun, which every unary call is until its handler has ended, goes on.
#[derive(Debug, Clone)]
pub(crate) struct Drained<S> {
    pub(crate) inner: S,
    pub(crate) drain: Drain,
}

impl<S> Service<Request<Body>> for Drained<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.inner.call(request);
        let drain = self.drain.clone();
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| Body::new(DrainedBody { body, drain, requested: None, is_ended: false })))
        })
    }
}

struct DrainedBody {
    body: Body,
    drain: Drain,
    /// Made at the first wait; most answers never wait.
    requested: Option<Requested>,
    is_ended: bool,
}

impl HttpBody for DrainedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let this = &mut *self;
        let requested = this.requested.get_or_insert_with(|| this.drain.watch());
        ready!(Pin::new(requested).poll(context));
        self.is_ended = true;
        self.body = Body::empty();
        let mut trailers = HeaderMap::new();
        let status = Status::unavailable("the server is stopping; call again to go on");
        status.add_header(&mut trailers).expect("a status without metadata is a valid header map");
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended || self.body.is_end_stream()
    }
}
