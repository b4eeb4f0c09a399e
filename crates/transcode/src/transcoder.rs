//! Takes a request from HTTP to gRPC and its answer back.

use crate::codec::Raw;
use crate::headers::StreamForm;
use crate::refused::Refused;
use crate::request::{Binding, Head};
use crate::router::{Found, Router};
use crate::rule::{self, Body as Bound, Route};
use crate::status::{Names, Statuses};
use crate::stream::Feed;
use crate::upload::{Refusals, Upload};
use crate::{Config, Error, answer, request};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use prost_reflect::DescriptorPool;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status, Streaming};
use tower::Service;

/// How long the first message of a stream is waited for before its answer begins without it. One that ends at once is thus told by
/// its HTTP status, and a client of a quiet one learns within a second that it is connected.
const FIRST_MESSAGE_WAIT: Duration = Duration::from_secs(1);

/// Serves the `google.api.http` rules of a descriptor set. Clones share it.
#[derive(Debug, Clone)]
pub struct Transcoder {
    pub(crate) pool: DescriptorPool,
    pub(crate) router: Arc<Router<Arc<Route>>>,
    statuses: Arc<Statuses>,
    config: Arc<Config>,
}

/// What a request called, in the extensions of its answer.
#[derive(Debug, Clone)]
pub struct Called {
    method: Option<Arc<str>>,
    code: Arc<AtomicI32>,
}

impl Called {
    fn new(method: Option<Arc<str>>, code: Code) -> Self {
        Called { method, code: Arc::new(AtomicI32::new(code as i32)) }
    }

    /// `package.Service/Method`, if the path led to one.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// How the call ended; CANCELLED as long as its stream has not.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::from_i32(self.code.load(Ordering::Relaxed))
    }

    pub(crate) fn ended(&self, code: Code) {
        self.code.store(code as i32, Ordering::Relaxed);
    }
}

impl Transcoder {
    /// Reads the rules of an encoded `FileDescriptorSet`.
    ///
    /// # Errors
    /// When it is none, or a rule cannot be kept.
    pub fn new(descriptor_set: &[u8], config: Config) -> Result<Self, Error> {
        let pool = DescriptorPool::decode(descriptor_set).map_err(Error::Descriptors)?;
        Ok(Transcoder {
            router: Arc::new(rule::compile(&pool, &config)?),
            statuses: Arc::new(Statuses::new(pool.clone())),
            config: Arc::new(config),
            pool,
        })
    }

    /// Answers a request. `upstream` gives the service of a full name; one that it does not know is UNIMPLEMENTED. The service finds the
    /// extensions of the HTTP request in those of its own.
    ///
    /// The answer carries [`Called`] in its extensions. Dropping the future drops the call.
    pub async fn call<B, S>(&self, request: Request<B>, upstream: impl Fn(&str) -> Option<S>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let (route, values) = match self.find(&request) {
            Ok(found) => found,
            Err(Refused { allow: Some(allow), .. }) if request.method() == Method::OPTIONS => return options(&allow),
            Err(refused) => return self.refuse(&refused, None, Names::Json),
        };
        let name = Some(Arc::clone(&route.rpc.name));
        let (mut parts, body) = request.into_parts();
        let head = match Head::read(&route, &mut parts, &self.config) {
            Ok(head) => head,
            Err(refused) => return self.refuse(&refused, name, Names::Json),
        };
        let binding = Binding::new(Arc::clone(&route), values, parts);
        let called = if route.rpc.is_upload() {
            self.upload(binding, body, head.is_one_message_each)
                .map(|(messages, refusals)| (messages.left_stream(), refusals))
        } else {
            let message = request::read_message(&binding, body, &self.config).await;
            message.map(|message| (stream::iter([message]).right_stream(), Refusals::none()))
        };
        let (messages, refusals) = match called {
            Ok(called) => called,
            Err(refused) => return self.refuse(&refused, name, Names::Json),
        };
        let answered = match upstream(&route.rpc.service) {
            Some(service) => self.forward(&route, (head, messages, refusals), service).await,
            None => Err(Status::unimplemented(format!("{} is not served here", route.rpc.service)).into()),
        };
        let body = match &route.body {
            Bound::Field(field) => Some(field.name()),
            Bound::None | Bound::Whole => None,
        };
        answered.unwrap_or_else(|refused| self.refuse(&refused, name, Names::Proto { body }))
    }

    /// Tells a status as this transcoder tells all of them, under the HTTP status of its code.
    #[must_use]
    pub fn status_response(&self, status: Status) -> Response<Body> {
        self.refuse(&status.into(), None, Names::Json)
    }

    /// Tells that a path which is not of the rules has other methods than the one asked for.
    #[must_use]
    pub fn method_not_allowed(&self, method: &Method, allow: &str) -> Response<Body> {
        self.refuse(&Refused::method_not_allowed(method, allow.to_owned()), None, Names::Json)
    }

    /// Whether the descriptors have this method, `package.Service/Method`, with or without a route.
    #[must_use]
    pub fn has_method(&self, name: &str) -> bool {
        let Some((service, method)) = name.split_once('/') else { return false };
        let service = self.pool.get_service_by_name(service);
        service.is_some_and(|service| service.methods().any(|descriptor| descriptor.name() == method))
    }

    fn find<B>(&self, request: &Request<B>) -> Result<(Arc<Route>, Vec<String>), Refused> {
        let (method, path) = (request.method(), request.uri().path());
        match self.router.find(method, path) {
            Found::Route(route, values) => Ok((Arc::clone(route), values)),
            // Every GET has a HEAD (RFC 9110 9.1); whoever sends the answer leaves its body out.
            Found::OtherMethods(allowed) if method == Method::HEAD && allowed.iter().any(|other| other == "GET") => {
                match self.router.find(&Method::GET, path) {
                    Found::Route(route, values) => Ok((Arc::clone(route), values)),
                    Found::OtherMethods(_) | Found::Nothing | Found::Malformed => Err(Refused::not_found(path)),
                }
            }
            Found::OtherMethods(mut allowed) => {
                if allowed.iter().any(|other| other == "GET") && !allowed.iter().any(|other| other == "HEAD") {
                    allowed.push(Method::HEAD.to_string());
                }
                allowed.push(Method::OPTIONS.to_string());
                Err(Refused::method_not_allowed(method, allowed.join(", ")))
            }
            Found::Nothing => Err(Refused::not_found(path)),
            Found::Malformed => {
                let message = "the path has a broken percent escape, or one that is not UTF-8";
                Err(Status::invalid_argument(message).into())
            }
        }
    }

    fn refuse(&self, refused: &Refused, method: Option<Arc<str>>, names: Names<'_>) -> Response<Body> {
        let mut response = self.statuses.response(refused, names);
        response.extensions_mut().insert(Called::new(method, refused.status.code()));
        response
    }

    fn upload<B>(
        &self,
        binding: Binding,
        body: B,
        is_one_message_each: bool,
    ) -> Result<(impl Stream<Item = Bytes> + Send + 'static, Refusals), Refused>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        binding.check_stream()?;
        let idle_max = Duration::from_millis(self.config.stream_idle_max_ms);
        let mut upload = Upload::new(body, binding, self.config.body_bytes_max, idle_max);
        upload.is_one_message_each = is_one_message_each;
        Ok(upload.into_messages())
    }

    async fn forward<S, M>(
        &self,
        route: &Arc<Route>,
        (head, messages, mut refusals): (Head, M, Refusals),
        service: S,
    ) -> Result<Response<Body>, Refused>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        M: Stream<Item = Bytes> + Send + 'static,
    {
        let mut client = Grpc::new(service).max_decoding_message_size(self.config.message_bytes_max);
        let mut request = tonic::Request::new(messages);
        *request.metadata_mut() = MetadataMap::from_headers(head.metadata);
        *request.extensions_mut() = head.extensions;
        match client.ready().await {
            Ok(()) => {}
            Err(impossible) => match impossible {},
        }
        let answer = refusals.unless(client.streaming(request, route.rpc.path.clone(), Raw)).await?;
        let (metadata, messages, _) = answer.into_parts();
        if route.rpc.is_stream() {
            return self.stream(route, (messages, refusals), metadata, (head.form, head.is_resumed)).await;
        }
        let message = refusals.unless(only(messages)).await?;
        let mut response = answer::unary(route, &message, metadata.as_ref(), (&head.asked, &head.conditions))?;
        response.extensions_mut().insert(Called::new(Some(Arc::clone(&route.rpc.name)), Code::Ok));
        Ok(response)
    }

    async fn stream(
        &self,
        route: &Arc<Route>,
        (mut messages, mut refusals): (Streaming<Bytes>, Refusals),
        metadata: MetadataMap,
        (form, is_resumed): (StreamForm, bool),
    ) -> Result<Response<Body>, Refused> {
        let called = Called::new(Some(Arc::clone(&route.rpc.name)), Code::Cancelled);
        // Cancel safe: a message is taken only when it is there.
        let first = refusals.unless(messages.message());
        let first = match tokio::time::timeout(FIRST_MESSAGE_WAIT, first).await {
            Ok(first) => first?,
            Err(_elapsed) => return self.feed(route, (messages, refusals), None, (form, called, metadata)),
        };
        // Nothing is left to resume: 204 tells an EventSource not to come again.
        if first.is_none() && is_resumed && form == StreamForm::Events {
            called.ended(Code::Ok);
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.extensions_mut().insert(called);
            return Ok(response);
        }
        self.feed(route, (messages, refusals), first, (form, called, metadata))
    }

    fn feed(
        &self,
        route: &Arc<Route>,
        (messages, refusals): (Streaming<Bytes>, Refusals),
        first: Option<Bytes>,
        (form, called, metadata): (StreamForm, Called, MetadataMap),
    ) -> Result<Response<Body>, Refused> {
        let (route, statuses) = (Arc::clone(route), Arc::clone(&self.statuses));
        let feed = Feed { messages, first, route, form, statuses, called: called.clone(), refusals, is_begun: false };
        let mut response = feed.into_response()?;
        crate::headers::response(metadata.as_ref(), response.headers_mut());
        response.extensions_mut().insert(called);
        Ok(response)
    }
}

/// Tells which methods a path has (RFC 9110 9.3.7).
fn options(allow: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_str(allow).expect("methods are header values"));
    response.extensions_mut().insert(Called::new(None, Code::Ok));
    response
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
