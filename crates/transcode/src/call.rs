//! One call of a route, from a request that has been read to its answer.
//!
//! The future of a unary call is what thousands of callers that wait at once are made of, so nothing is kept in it that is not needed any
//! more, and what few calls need is in a box of its own.

use crate::called::{Called, refuse_call};
use crate::codec::Raw;
use crate::headers::StreamForm;
use crate::refused::Refused;
use crate::request::{Head, Wanted};
use crate::rule::{Body as Bound, Route};
use crate::status::Names;
use crate::stream::Feed;
use crate::upload::Refusals;
use crate::{answer, exchange};
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::{FutureExt, Stream};
use http::{HeaderMap, Request, Response, StatusCode};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status, Streaming};
use tower::{Service, ServiceExt};

/// How long the first message of a stream is waited for before its answer begins without it. One that ends at once is thus told by
/// its HTTP status, and a client of a quiet one learns within a second that it is connected.
const FIRST_MESSAGE_WAIT: Duration = Duration::from_secs(1);

/// A call that is ready to be made.
pub(crate) struct Call<S> {
    pub(crate) route: Arc<Route>,
    pub(crate) head: Head,
    pub(crate) service: S,
    /// Bytes of a message of its answer at most.
    pub(crate) bytes_max: usize,
}

impl<S> Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    /// Sends one message.
    pub(crate) fn exchange(self, message: Bytes) -> impl Future<Output = Response<Body>> {
        let Call { route, head, service, bytes_max } = self;
        let mut request = match exchange::request(route.rpc.path.clone(), head.metadata, message) {
            Ok(request) => request,
            Err(status) => return ready(refused(&route, &status.into())).left_future(),
        };
        *request.extensions_mut() = head.extensions;
        let wanted = head.wanted;
        let answer = service.oneshot(request).then(move |answered| {
            let Ok(answer) = answered;
            if route.rpc.is_stream {
                return Box::pin(streamed(route, wanted, answer, bytes_max)).left_future();
            }
            let read = exchange::answer(answer, bytes_max);
            read.map(move |read| unary(&route, &wanted, read.map_err(Refused::from))).right_future()
        });
        answer.right_future()
    }

    /// Sends a stream of messages.
    pub(crate) async fn forward<M>(self, (messages, refusals): (M, Refusals)) -> Response<Body>
    where
        M: Stream<Item = Bytes> + Send + 'static,
    {
        let route = Arc::clone(&self.route);
        let answered = self.try_to_forward(messages, refusals).await;
        answered.unwrap_or_else(|refusal| refused(&route, &refusal))
    }

    async fn try_to_forward<M>(self, messages: M, mut refusals: Refusals) -> Result<Response<Body>, Refused>
    where
        M: Stream<Item = Bytes> + Send + 'static,
    {
        let Call { route, head, service, bytes_max } = self;
        let mut client = Grpc::new(service).max_decoding_message_size(bytes_max);
        let mut request = tonic::Request::new(messages);
        *request.metadata_mut() = MetadataMap::from_headers(head.metadata);
        *request.extensions_mut() = head.extensions;
        let Ok(()) = client.ready().await;
        let answer = refusals.unless(client.streaming(request, route.rpc.path.clone(), Raw)).await?;
        let (metadata, messages, _) = answer.into_parts();
        if route.rpc.is_stream {
            return stream(route, &head.wanted, metadata, (messages, refusals)).await;
        }
        let message = refusals.unless(only(messages)).await?;
        Ok(unary(&route, &head.wanted, Ok((metadata.into_headers(), message))))
    }
}

/// Tells an error of a call that was made.
fn refused(route: &Route, refused: &Refused) -> Response<Body> {
    let body = match &route.body {
        Bound::Field(field) => Some(field.name()),
        Bound::None | Bound::Whole => None,
    };
    refuse_call(route, refused, Names::Proto { body })
}

/// Answers with a message, and what came before it.
fn unary(route: &Route, wanted: &Wanted, read: Result<(HeaderMap, Bytes), Refused>) -> Response<Body> {
    let answered = read.and_then(|(metadata, message)| answer::unary(route, &message, &metadata, wanted));
    match answered {
        Ok(mut response) => {
            response.extensions_mut().insert(Called::new(Some(Arc::clone(&route.rpc.name)), Code::Ok));
            response
        }
        Err(refusal) => refused(route, &refusal),
    }
}

/// Answers with the messages of a service that was sent one.
async fn streamed(route: Arc<Route>, wanted: Wanted, answer: Response<Body>, bytes_max: usize) -> Response<Body> {
    let answered = match exchange::messages(answer, bytes_max) {
        Ok((metadata, messages)) => stream(Arc::clone(&route), &wanted, metadata, (messages, Refusals::none())).await,
        Err(status) => Err(status.into()),
    };
    answered.unwrap_or_else(|refusal| refused(&route, &refusal))
}

async fn stream(
    route: Arc<Route>,
    wanted: &Wanted,
    metadata: MetadataMap,
    (mut messages, mut refusals): (Streaming<Bytes>, Refusals),
) -> Result<Response<Body>, Refused> {
    let called = Called::new(Some(Arc::clone(&route.rpc.name)), Code::Cancelled);
    // Cancel safe: a message is taken only when it is there.
    let first = refusals.unless(messages.message());
    let (first, is_over) = match tokio::time::timeout(FIRST_MESSAGE_WAIT, first).await {
        Ok(first) => first?.map_or((None, true), |first| (Some(first), false)),
        Err(_elapsed) => (None, false),
    };
    // Nothing is left to resume: 204 tells an EventSource not to come again.
    if is_over && wanted.is_resumed && wanted.form == StreamForm::Events {
        called.ended(Code::Ok);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.extensions_mut().insert(called);
        return Ok(response);
    }
    let (form, statuses) = (wanted.form, Arc::clone(&route.rpc.statuses));
    let feed = Feed { messages, first, route, form, statuses, called: called.clone(), refusals, is_begun: false };
    let mut response = feed.into_response()?;
    crate::headers::response(metadata.as_ref(), response.headers_mut());
    response.extensions_mut().insert(called);
    Ok(response)
}

/// The one message of a unary call; its status is known only when the stream has ended.
async fn only(mut messages: Streaming<Bytes>) -> Result<Bytes, Status> {
    let message = messages.message().await?;
    let message = message.ok_or_else(|| Status::internal("the service answered without a message"))?;
    match messages.message().await? {
        None => Ok(message),
        Some(_) => Err(Status::internal("the service answered a unary call with several messages")),
    }
}
