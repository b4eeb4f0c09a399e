//! Ends streams when the gateway stops, so that a watcher does not hold it up, and learns that it should come again.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame};
use lifecycle::{Drain, Requested};
use pin_project_lite::pin_project;
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
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Draining<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Draining { answer: self.inner.call(request), drain: self.drain.clone() }
    }
}

pin_project! {
    /// The answer of a service whose answers end when the drain is requested.
    pub(crate) struct Draining<F> {
        #[pin]
        answer: F,
        drain: Drain,
    }
}

impl<F> Future for Draining<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.answer.poll(context));
        let drain = this.drain.clone();
        Poll::Ready(Ok(response.map(|body| Body::new(DrainedBody { body, drain, requested: None, is_ended: false }))))
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
