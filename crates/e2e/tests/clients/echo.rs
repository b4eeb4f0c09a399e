//! Gives a client back what it sends as metadata, as the case `custom_metadata` asks: some before the answer, some after it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

const BEFORE: HeaderName = HeaderName::from_static("x-grpc-test-echo-initial");
const AFTER: HeaderName = HeaderName::from_static("x-grpc-test-echo-trailing-bin");

/// A service that echoes.
#[derive(Debug, Clone)]
pub(crate) struct Echo<S>(S);

impl<S> Echo<S> {
    pub(crate) fn new(inner: S) -> Self {
        Echo(inner)
    }
}

impl<S> Service<Request<Body>> for Echo<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let asked = |name: HeaderName| request.headers().get(&name).map(|value| (name, value.clone()));
        let (before, after) = (asked(BEFORE), asked(AFTER));
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            response.headers_mut().extend(before);
            let after: HeaderMap = after.into_iter().collect();
            Ok(response.map(|body| Body::new(Trailed { body, after })))
        })
    }
}

/// A body with more trailers than it has.
struct Trailed {
    body: Body,
    after: HeaderMap,
}

impl HttpBody for Trailed {
    type Data = Bytes;
    type Error = Status;

    /// So that an answer without a body stays one, which is the only form of an error without one (gRPC over HTTP/2, "Trailers-Only").
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    trailers.extend(std::mem::take(&mut self.after));
                }
                frame
            })
        }))
    }
}
