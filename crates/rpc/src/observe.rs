//! One log line per request: what was called, how it ended, how long it took.

use crate::Answer;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::{Body as HttpBody, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;
use tracing::debug;

/// A server whose requests are logged.
#[derive(Debug, Clone)]
pub(crate) struct Observed<S>(S);

impl<S> Observed<S> {
    pub(crate) fn new(inner: S) -> Self {
        Observed(inner)
    }
}

impl<S> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let mut line = Line { method: request.uri().path().to_owned(), begun: Instant::now(), code: None };
        let answer = self.0.call(request);
        Box::pin(async move {
            let response = match answer.await {
                Ok(response) => response,
                Err(impossible) => match impossible {},
            };
            line.read(response.headers());
            Ok(response.map(|body| Body::new(ObservedBody { body, line })))
        })
    }
}

/// A response body whose trailers tell how the call ended.
struct ObservedBody {
    body: Body,
    line: Line,
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => frame.trailers_ref().into_iter().for_each(|trailers| self.line.read(trailers)),
            Some(Err(status)) => self.line.code = Some(status.code()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The log line, written when the call is over, however it ends.
struct Line {
    method: String,
    begun: Instant,
    code: Option<Code>,
}

impl Line {
    fn read(&mut self, headers: &HeaderMap) {
        self.code = headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes())).or(self.code);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Without a status the caller has gone, or has read enough.
        let code = self.code.unwrap_or(Code::Cancelled);
        let elapsed_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        debug!(rpc.method = self.method, rpc.code = ?code, elapsed_ms, "request answered");
    }
}
